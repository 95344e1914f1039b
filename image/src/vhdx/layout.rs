//! Where everything in a VHDX is.

use super::bat::Block;
use super::region::{Regions, bounded};
use super::{Header, Metadata};
use crate::error::{Error, Kind, Place, Result};
use crate::source::Source;
use crate::table::Tables;

/// Regions and metadata of a file, proved to fit each other, and its BAT.
pub(super) struct Layout {
    pub(super) metadata: Metadata,
    pub(super) regions: Regions,
    tables: Tables,
}

impl Layout {
    pub(super) fn read(file: &dyn Source, capacity_limit: u64) -> Result<Self> {
        let header = Header::read(file)?;
        header.check_log()?;
        let log = match header.log_length {
            0 => 0..0,
            length => bounded(header.log_offset, length.into(), file.size())?,
        };
        let regions = Regions::read(file, log)?;
        let metadata = Metadata::read(file, &regions.metadata)?;
        if metadata.size > capacity_limit {
            let place = Place::Offset(regions.metadata.start);
            let reason = "the VHDX is larger than the disk that was declared";
            return Err(Error::new(Kind::Ceiling, place, reason));
        }
        if metadata.bat_entries() * 8 > regions.bat.end - regions.bat.start {
            let place = Place::Offset(regions.bat.start);
            let reason = "the VHDX's BAT is shorter than its disk needs";
            return Err(Error::malformed(place, reason));
        }
        Ok(Self {
            metadata,
            regions,
            tables: Tables::new(u64::from_le_bytes),
        })
    }

    /// What the BAT of `file` says about a block.
    pub(super) fn block(&self, file: &dyn Source, block: u64) -> Result<Block> {
        let (index, count) = (self.metadata.bat_index(block), self.metadata.bat_entries());
        let numbers = self.tables.numbers(file, self.regions.bat.start, count, index)?;
        match Block::parse(numbers[0])? {
            Block::Present(at) if at >= file.size() => {
                let reason = "a VHDX block lies outside the file";
                Err(Error::new(Kind::Truncated, Place::Offset(at), reason))
            }
            block => Ok(block),
        }
    }
}
