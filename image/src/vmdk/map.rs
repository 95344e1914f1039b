//! Where a stream's grains and tables were, and whether its own tables say the same.

use std::collections::VecDeque;

use super::{Header, TABLE_ENTRIES};
use crate::error::{Error, Kind, Place, Result};
use crate::source::SECTOR;

/// Tables that a writer may owe us: some write all of them at the end. As many cover 128 GiB of data in 8 MiB.
const OWED_LIMIT: usize = 4096;

/// Where things were in the stream, to be compared with what its tables say.
pub(super) struct Map {
    /// Tables whose grains have passed and that have not come yet, in order.
    owed: VecDeque<(usize, Box<[u32; TABLE_ENTRIES]>)>,
    /// Each table's sector.
    tables: Vec<u32>,
    /// Sectors of tables that hold nothing, in order; which part of the disk each is of, only the directory tells.
    empty: VecDeque<u32>,
    /// The first grain and the first table that may still come.
    next_grain: u64,
    next_table: usize,
}

impl Map {
    pub(super) fn new(header: &Header) -> Self {
        let tables = vec![0; header.tables()];
        Self {
            owed: VecDeque::new(),
            tables,
            empty: VecDeque::new(),
            next_grain: 0,
            next_table: 0,
        }
    }

    pub(super) fn grain(&mut self, header: &Header, first: u64, at: u64) -> Result<()> {
        let refuse = |kind, reason: &str| Err(Error::new(kind, Place::Offset(at), reason));
        if first >= header.capacity || !first.is_multiple_of(header.grain_sectors) {
            return refuse(
                Kind::Malformed,
                "a VMDK grain lies outside the disk or off its boundary",
            );
        }
        let index = first / header.grain_sectors;
        let (table, entry) = (
            position(index / TABLE_ENTRIES as u64),
            position(index % TABLE_ENTRIES as u64),
        );
        if index < self.next_grain || table < self.next_table {
            return refuse(Kind::Overlap, "a VMDK grain comes twice or out of order");
        }
        if self.owed.back().is_none_or(|(last, _)| *last != table) {
            if self.owed.len() >= OWED_LIMIT {
                return refuse(Kind::Ceiling, "the VMDK keeps its grain tables back");
            }
            self.owed.push_back((table, Box::new([0; TABLE_ENTRIES])));
        }
        let sector = stream_sector(at)?;
        if let Some((_, entries)) = self.owed.back_mut() {
            entries[entry] = sector;
        }
        self.next_grain = index + 1;
        Ok(())
    }

    pub(super) fn table(&mut self, entries: &[u32], at: u64) -> Result<()> {
        let sector = stream_sector(at)?;
        if entries.iter().all(|&entry| entry == 0) {
            if self.empty.len() >= self.tables.len() {
                return Err(Error::new(
                    Kind::Ceiling,
                    Place::Offset(at),
                    "more VMDK grain tables than the disk has",
                ));
            }
            self.empty.push_back(sector);
            return Ok(());
        }
        match self.owed.pop_front() {
            Some((number, expected)) if expected.as_slice() == entries => {
                self.tables[number] = sector;
                self.next_table = number + 1;
                Ok(())
            }
            _ => Err(Error::malformed(
                Place::Offset(at),
                "a VMDK grain table does not say where its grains are",
            )),
        }
    }

    /// A part of the directory, from its entry `first` on; parts come in order. A table that holds nothing may be named
    /// once, or not at all.
    pub(super) fn directory(&mut self, first: usize, entries: &[u32], at: u64) -> Result<()> {
        let empty = &mut self.empty;
        let agrees = |(&found, &known): (&u32, &u32)| {
            if known != 0 || found == 0 {
                return found == known;
            }
            while empty.front().is_some_and(|&sector| sector < found) {
                empty.pop_front();
            }
            empty.pop_front_if(|sector| *sector == found).is_some()
        };
        if !self.owed.is_empty() || !entries.iter().zip(&self.tables[first..]).all(agrees) {
            return Err(Error::malformed(
                Place::Offset(at),
                "the VMDK grain directory does not say where the grain tables are",
            ));
        }
        Ok(())
    }
}

fn stream_sector(at: u64) -> Result<u32> {
    u32::try_from(at / SECTOR).map_err(|_| {
        Error::new(
            Kind::Ceiling,
            Place::Offset(at),
            "the VMDK stream is longer than 2 TiB",
        )
    })
}

/// A number below the disk's count of tables.
fn position(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
