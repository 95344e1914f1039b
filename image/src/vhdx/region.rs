//! The region table: where the BAT and the metadata are (section 2.2.3).

use std::ops::Range;

use super::MIB;
use super::crc32c::crc32c;
use crate::error::{Error, Kind, Place, Result};
use crate::field::{u32_le, u64_le};
use crate::guid::Guid;
use crate::source::Source;

const PLACES: [u64; 2] = [192 << 10, 256 << 10];
const LENGTH: usize = 64 << 10;
const ENTRY_LIMIT: u32 = 2047;
const BAT: Guid = Guid::from_bytes(0x2dc2_7766_f623_4200_9d64_115e_9bfd_4a08u128.to_be_bytes());
const METADATA: Guid = Guid::from_bytes(0x8b7c_a206_4790_4b9a_b8fe_575f_050f_886eu128.to_be_bytes());

/// The regions' places in the file, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Regions {
    pub(super) bat: Range<u64>,
    pub(super) metadata: Range<u64>,
    /// All regions, the log included, by place; they lie apart and inside the file.
    pub(super) all: Vec<Range<u64>>,
}

impl Regions {
    /// Reads the first sound copy of the table. `log` is the log's place, which no region may lie over.
    pub(super) fn read(file: &dyn Source, log: Range<u64>) -> Result<Self> {
        for at in PLACES {
            let mut block = vec![0; LENGTH];
            file.read_at(at, &mut block)?;
            if &block[..4] == b"regi" && u32_le(&block, 4) == crc32c(&block, 4) {
                return Self::parse(&block, at, file.size(), log);
            }
        }
        let reason = "both VHDX region tables are damaged: their checksums do not match";
        Err(Error::new(Kind::Checksum, Place::Offset(PLACES[0]), reason))
    }

    fn parse(block: &[u8], at: u64, file_length: u64, log: Range<u64>) -> Result<Self> {
        let place = Place::Offset(at);
        let count = u32_le(block, 8);
        if count > ENTRY_LIMIT {
            return Err(Error::malformed(
                place,
                "a VHDX region table with too many entries",
            ));
        }
        let (mut bat, mut metadata, mut all) = (None, None, vec![log]);
        for entry in block[16..].chunks_exact(32).take(count as usize) {
            let region = region(entry, file_length)?;
            let slot = match from_disk(entry) {
                BAT => Some(&mut bat),
                METADATA => Some(&mut metadata),
                other if u32_le(entry, 28) & 1 != 0 => {
                    let reason = format!("a VHDX with the unknown required region {other}");
                    return Err(Error::new(Kind::Unsupported, place, reason));
                }
                _ => None,
            };
            if slot.is_some_and(|slot| slot.replace(region.clone()).is_some()) {
                return Err(Error::new(Kind::Overlap, place, "a VHDX region is named twice"));
            }
            all.push(region);
        }
        all.retain(|region| !region.is_empty());
        all.sort_by_key(|region| region.start);
        if let Some(pair) = all.windows(2).find(|pair| pair[1].start < pair[0].end) {
            let reason = "VHDX regions lie over each other";
            return Err(Error::new(Kind::Overlap, Place::Offset(pair[1].start), reason));
        }
        let missing = |what: &str| Error::malformed(place.clone(), format!("the VHDX has no {what}"));
        Ok(Self {
            bat: bat.ok_or_else(|| missing("block allocation table"))?,
            metadata: metadata.ok_or_else(|| missing("metadata region"))?,
            all,
        })
    }
}

fn region(entry: &[u8], file_length: u64) -> Result<Range<u64>> {
    let (start, length) = (u64_le(entry, 16), u64::from(u32_le(entry, 24)));
    bounded(start, length, file_length)
}

/// A part of the file that has to be on a boundary of 1 MiB, after the headers, and inside.
pub(super) fn bounded(start: u64, length: u64, file_length: u64) -> Result<Range<u64>> {
    let place = Place::Offset(start);
    if start < MIB || !start.is_multiple_of(MIB) || !length.is_multiple_of(MIB) {
        let reason = "a VHDX region off a boundary of 1 MiB, or over the headers";
        return Err(Error::malformed(place, reason));
    }
    match start.checked_add(length) {
        Some(end) if end <= file_length => Ok(start..end),
        _ => Err(Error::new(
            Kind::Truncated,
            place,
            "a VHDX region lies outside the file",
        )),
    }
}

/// The GUID that a structure begins with.
pub(super) fn from_disk(entry: &[u8]) -> Guid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&entry[..16]);
    // The same groups are swapped both ways.
    Guid::from_bytes(Guid::from_bytes(bytes).to_disk())
}
