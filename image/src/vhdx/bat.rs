//! Entries of the block allocation table (section 2.5).

use super::{MIB, Metadata};
use crate::error::{Error, Kind, Place, Result};

/// Bits 3 to 19 are reserved.
const RESERVED: u64 = 0x000f_fff8;

/// What the table says about one block of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// Nothing is kept: zeros, or whatever was there before for a block that was trimmed, which is zeros as well here.
    Absent,
    /// Its bytes are at this byte of the file.
    Present(u64),
}

impl Block {
    pub(super) fn parse(entry: u64) -> Result<Self> {
        let at = entry / MIB * MIB;
        if entry & RESERVED != 0 {
            return Err(Error::malformed(
                Place::Offset(at),
                "a VHDX BAT entry with reserved bits",
            ));
        }
        match entry & 7 {
            // Not present, undefined, zero, unmapped.
            0..=3 => Ok(Self::Absent),
            6 if at >= MIB => Ok(Self::Present(at)),
            6 => Err(Error::malformed(
                Place::Offset(at),
                "a VHDX block over the headers",
            )),
            7 => {
                let reason = "a partial VHDX block, which needs a parent";
                Err(Error::new(Kind::Unsupported, Place::Offset(at), reason))
            }
            state => {
                let reason = format!("a VHDX block of the unknown state {state}");
                Err(Error::malformed(Place::Offset(at), reason))
            }
        }
    }
}

impl Metadata {
    /// Blocks after which an entry for their bitmap comes.
    pub(super) fn chunk(&self) -> u64 {
        (u64::from(self.logical_sector) << 23) / self.block
    }

    /// How many blocks the disk has.
    pub(super) fn blocks(&self) -> u64 {
        self.size.div_ceil(self.block)
    }

    /// The BAT's entry of a block.
    pub(super) fn bat_index(&self, block: u64) -> u64 {
        block + block / self.chunk()
    }

    /// Entries that the BAT needs.
    pub(super) fn bat_entries(&self) -> u64 {
        self.blocks()
            .checked_sub(1)
            .map_or(0, |last| self.bat_index(last) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmaps_entries_are_stepped_over() {
        let metadata = Metadata {
            size: 10 << 40,
            block: 32 * MIB,
            fixed: false,
            logical_sector: 512,
            physical_sector: 4096,
        };
        assert_eq!((metadata.chunk(), metadata.blocks()), (128, 327_680));
        let index = |block| metadata.bat_index(block);
        assert_eq!([index(0), index(127), index(128), index(256)], [0, 127, 129, 258]);
    }

    #[test]
    fn states_are_told_apart() {
        assert_eq!(Block::parse(3 << 20 | 6).unwrap(), Block::Present(3 * MIB));
        assert_eq!(Block::parse(3 << 20 | 2).unwrap(), Block::Absent);
        for (entry, kind) in [
            (6, Kind::Malformed),
            (3 << 20 | 7, Kind::Unsupported),
            (4, Kind::Malformed),
            (14, Kind::Malformed),
        ] {
            assert_eq!(Block::parse(entry).unwrap_err().kind(), kind);
        }
    }
}
