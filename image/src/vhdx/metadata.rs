//! The metadata region: what the disk is (section 2.6).

use std::ops::Range;

use super::region::from_disk;
use super::{CAPACITY_LIMIT, MIB};
use crate::error::{Error, Kind, Place, Result};
use crate::field::{u16_le, u32_le, u64_le};
use crate::guid::Guid;
use crate::source::Source;

const TABLE_LENGTH: usize = 64 << 10;
const ENTRY_LIMIT: u16 = 2047;
/// Items that are looked at are of 16 bytes at most.
const ITEM_LIMIT: usize = 16;

const FILE_PARAMETERS: Guid = Guid::from_bytes(0xcaa1_6737_fa36_4d43_b3b6_33f0_aa44_e76bu128.to_be_bytes());
const DISK_SIZE: Guid = Guid::from_bytes(0x2fa5_4224_cd1b_4876_b211_5dbe_d83b_f4b8u128.to_be_bytes());
const DISK_ID: Guid = Guid::from_bytes(0xbeca_12ab_b2e6_4523_93ef_c309_e000_c746u128.to_be_bytes());
const LOGICAL_SECTOR: Guid = Guid::from_bytes(0x8141_bf1d_a96f_4709_ba47_f233_a8fa_ab5fu128.to_be_bytes());
const PHYSICAL_SECTOR: Guid = Guid::from_bytes(0xcda3_48c7_445d_4471_9cc9_e988_5251_c556u128.to_be_bytes());
const PARENT_LOCATOR: Guid = Guid::from_bytes(0xa8d3_5f2d_b30b_454d_abf7_d3d8_4834_ab0cu128.to_be_bytes());

/// What the metadata say. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// The disk's size.
    pub size: u64,
    /// A block's size: 1 to 256 MiB, a power of two.
    pub block: u64,
    /// All blocks are kept, as in a fixed disk.
    pub fixed: bool,
    /// The sector size that guests see: 512 or 4096.
    pub logical_sector: u32,
    /// The sector size that guests are told of beneath: 512 or 4096.
    pub physical_sector: u32,
}

#[derive(Default)]
struct Found {
    parameters: Option<(u32, u32)>,
    size: Option<u64>,
    logical: Option<u32>,
    physical: Option<u32>,
}

impl Metadata {
    pub(super) fn read(file: &dyn Source, region: &Range<u64>) -> Result<Self> {
        let place = Place::Offset(region.start);
        if region.end - region.start < TABLE_LENGTH as u64 {
            return Err(Error::malformed(
                place,
                "the VHDX's metadata region is shorter than its table",
            ));
        }
        let mut table = vec![0; TABLE_LENGTH];
        file.read_at(region.start, &mut table)?;
        let count = u16_le(&table, 10);
        if &table[..8] != b"metadata" || count > ENTRY_LIMIT {
            return Err(Error::malformed(place, "no VHDX metadata table"));
        }
        let mut found = Found::default();
        for entry in table[32..].chunks_exact(32).take(usize::from(count)) {
            found.take(file, region, entry)?;
        }
        let metadata = found.finish().map_err(|e| e.at(place.clone()))?;
        metadata.check().map_err(|e| e.at(place))?;
        Ok(metadata)
    }

    fn check(&self) -> Result<()> {
        let malformed = |reason: &str| Err(Error::malformed(Place::Whole, reason));
        if !self.block.is_power_of_two() || !(MIB..=256 * MIB).contains(&self.block) {
            return malformed("a VHDX block size that is no power of two from 1 to 256 MiB");
        }
        if [self.logical_sector, self.physical_sector]
            .iter()
            .any(|size| ![512, 4096].contains(size))
        {
            return malformed("a VHDX sector size that is neither 512 nor 4096");
        }
        if self.size > CAPACITY_LIMIT {
            return Err(Error::new(
                Kind::Ceiling,
                Place::Whole,
                "the VHDX's disk is above 64 TiB",
            ));
        }
        if !self.size.is_multiple_of(u64::from(self.logical_sector)) {
            return malformed("the VHDX's disk ends within a sector");
        }
        Ok(())
    }
}

impl Found {
    fn take(&mut self, file: &dyn Source, region: &Range<u64>, entry: &[u8]) -> Result<()> {
        let (at, length, flags) = (u32_le(entry, 16), u32_le(entry, 20), u32_le(entry, 24));
        let place = region.start + u64::from(at);
        let item = |expected: usize| {
            let inside = at as usize >= TABLE_LENGTH && place + u64::from(length) <= region.end;
            if !inside || length as usize != expected {
                let reason = "a VHDX metadata item of another size or outside its region";
                return Err(Error::malformed(Place::Offset(place), reason));
            }
            let mut bytes = [0; ITEM_LIMIT];
            file.read_at(place, &mut bytes[..expected])?;
            Ok(bytes)
        };
        let once = |second: bool| match second {
            true => Err(Error::new(
                Kind::Overlap,
                Place::Offset(place),
                "a VHDX metadata item comes twice",
            )),
            false => Ok(()),
        };
        match from_disk(entry) {
            FILE_PARAMETERS => {
                let bytes = item(8)?;
                once(
                    self.parameters
                        .replace((u32_le(&bytes, 0), u32_le(&bytes, 4)))
                        .is_some(),
                )
            }
            DISK_SIZE => once(self.size.replace(u64_le(&item(8)?, 0)).is_some()),
            LOGICAL_SECTOR => once(self.logical.replace(u32_le(&item(4)?, 0)).is_some()),
            PHYSICAL_SECTOR => once(self.physical.replace(u32_le(&item(4)?, 0)).is_some()),
            DISK_ID | PARENT_LOCATOR => Ok(()),
            other if flags & 4 != 0 => {
                let reason = format!("a VHDX with the unknown required metadata item {other}");
                Err(Error::new(Kind::Unsupported, Place::Offset(place), reason))
            }
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Metadata> {
        let missing =
            |what: &str| Error::malformed(Place::Whole, format!("the VHDX's metadata have no {what}"));
        let (block, flags) = self.parameters.ok_or_else(|| missing("file parameters"))?;
        if flags & 2 != 0 {
            let reason = "a differencing VHDX, which needs its parent";
            return Err(Error::new(Kind::Unsupported, Place::Whole, reason));
        }
        Ok(Metadata {
            size: self.size.ok_or_else(|| missing("disk size"))?,
            block: block.into(),
            fixed: flags & 1 != 0,
            logical_sector: self.logical.ok_or_else(|| missing("logical sector size"))?,
            physical_sector: self.physical.ok_or_else(|| missing("physical sector size"))?,
        })
    }
}
