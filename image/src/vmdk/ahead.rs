//! Tables before the grains of a stream, as `qemu-img` writes it: where each grain has to be is known before the first one.
//!
//! The directory's copy with its tables, the directory with its tables, and nothing else but zeros, in QEMU's order.

use std::collections::VecDeque;

use super::{Header, TABLE_ENTRIES, TABLE_SECTORS};
use crate::error::{Error, Kind, Place, Result};
use crate::field::u32_le;
use crate::source::{SECTOR, is_zero, length};

/// Tables with grains that are held: as many cover 128 GiB of data in 8 MiB. Of larger disks [`super::Disk`] reads.
const HELD_LIMIT: usize = 4096;

const SECTOR_LENGTH: usize = 512;

type Table = [u32; TABLE_ENTRIES];

/// A table that names no grain.
const NONE: Table = [0; TABLE_ENTRIES];

/// Where the grains are that are still to come.
pub(super) struct Ahead {
    grain_sectors: u64,
    /// Tables that name grains, by their numbers.
    tables: VecDeque<(u64, Box<Table>)>,
    /// The first entry of the first table that may still name one.
    entry: usize,
}

/// The sectors of the head, one after the other.
struct Sectors<'a> {
    next: &'a mut dyn FnMut() -> Result<[u8; SECTOR_LENGTH]>,
    /// The one that comes next.
    at: u64,
}

impl Sectors<'_> {
    fn take(&mut self) -> Result<[u8; SECTOR_LENGTH]> {
        self.at += 1;
        (self.next)()
    }

    fn skip_to(&mut self, sector: u64) -> Result<()> {
        if self.at > sector {
            return Err(unlike("the VMDK's tables are not in the order of a stream"));
        }
        while self.at < sector {
            let place = Place::Offset(self.at * SECTOR);
            if !is_zero(&self.take()?) {
                return Err(Error::malformed(
                    place,
                    "the VMDK has bytes between its tables that belong to nothing",
                ));
            }
        }
        Ok(())
    }
}

fn unlike(reason: &str) -> Error {
    Error::new(Kind::Unsupported, Place::Offset(0), reason)
}

impl Ahead {
    /// Reads all between the descriptor and the first grain; `next` gives a sector at a time, from `from` on.
    pub(super) fn read(
        header: &Header,
        from: u64,
        next: &mut dyn FnMut() -> Result<[u8; SECTOR_LENGTH]>,
    ) -> Result<Self> {
        let mut sectors = Sectors { next, at: from };
        let mut ahead = Self {
            grain_sectors: header.grain_sectors,
            tables: VecDeque::new(),
            entry: 0,
        };
        let first = header.redundant().unwrap_or(header.directory);
        directory(header, first, &mut sectors, &mut |number, table, at| {
            ahead.hold(header, number, table, at)
        })?;
        if first != header.directory {
            let mut held = ahead.tables.iter().peekable();
            directory(
                header,
                header.directory,
                &mut sectors,
                &mut |number, table, at| {
                    let known = held.next_if(|(held, _)| *held == number);
                    if known.map_or(&NONE, |(_, known)| known) == table {
                        return Ok(());
                    }
                    let reason = "a VMDK grain table differs from its redundant copy";
                    Err(Error::malformed(Place::Offset(at), reason))
                },
            )?;
        }
        sectors.skip_to(header.overhead)?;
        Ok(ahead)
    }

    fn hold(&mut self, header: &Header, number: u64, table: &Table, at: u64) -> Result<()> {
        if *table == NONE {
            return Ok(());
        }
        if self.tables.len() >= HELD_LIMIT {
            return Err(unlike("the VMDK has more tables at its head than are held"));
        }
        let grains = header.capacity.div_ceil(header.grain_sectors) - number * TABLE_ENTRIES as u64;
        let past = table.iter().skip(length(grains)).any(|&sector| sector > 0);
        if past {
            let reason = "a VMDK grain table names a grain outside the disk";
            return Err(Error::malformed(Place::Offset(at), reason));
        }
        let before = self.tables.back().and_then(|(_, last)| last.iter().max());
        let mut least = before.map_or(header.overhead, |&sector| u64::from(sector) + 1);
        for &sector in table.iter().filter(|&&sector| sector > 0) {
            if u64::from(sector) < least {
                let reason = "the VMDK's grains are not in the order of the disk";
                return Err(unlike(reason).at(Place::Offset(at)));
            }
            least = u64::from(sector) + 1;
        }
        self.tables.push_back((number, Box::new(*table)));
        Ok(())
    }

    /// Whether a grain that begins at sector `first` of the disk has to be at byte `at` of the stream, next.
    pub(super) fn grain(&mut self, first: u64, at: u64) -> Result<()> {
        let expected = self.next();
        if expected != Some((first, at / SECTOR)) {
            let reason = "a VMDK grain is not where the tables at the head have it";
            return Err(Error::malformed(Place::Offset(at), reason));
        }
        Ok(())
    }

    /// Whether all grains have come.
    pub(super) fn is_done(&self) -> bool {
        let left = |(_, table): &(u64, Box<Table>)| table[self.entry..].iter().any(|&entry| entry > 0);
        self.tables.len() <= 1 && !self.tables.front().is_some_and(left)
    }

    /// The grain that comes next: its first sector on the disk, and its sector in the stream.
    fn next(&mut self) -> Option<(u64, u64)> {
        loop {
            let (number, table) = self.tables.front()?;
            let found = table[self.entry..].iter().position(|&entry| entry > 0);
            if let Some(skip) = found {
                let entry = self.entry + skip;
                self.entry = entry + 1;
                let index = number * TABLE_ENTRIES as u64 + entry as u64;
                return Some((index * self.grain_sectors, table[entry].into()));
            }
            self.tables.pop_front();
            self.entry = 0;
        }
    }
}

/// Reads a directory at sector `at` whose tables follow it in order, and hands those to `each` with their byte offsets.
fn directory(
    header: &Header,
    at: u64,
    sectors: &mut Sectors<'_>,
    each: &mut dyn FnMut(u64, &Table, u64) -> Result<()>,
) -> Result<()> {
    sectors.skip_to(at)?;
    let (tables, first) = (header.tables() as u64, at + header.directory_sectors());
    if header.overhead < first + tables * TABLE_SECTORS {
        return Err(unlike("the VMDK's tables reach into its grains"));
    }
    let mut number = 0;
    for _ in 0..header.directory_sectors() {
        let bytes = sectors.take()?;
        for entry in bytes.chunks_exact(4) {
            let expected = match number {
                number if number < tables => first + number * TABLE_SECTORS,
                _ => 0,
            };
            if u64::from(u32_le(entry, 0)) != expected {
                return Err(unlike("the VMDK's tables are not in the order of a stream"));
            }
            number += 1;
        }
    }
    for number in 0..tables {
        let at = sectors.at * SECTOR;
        let mut table = NONE;
        for part in table.chunks_exact_mut(SECTOR_LENGTH / 4) {
            let bytes = sectors.take()?;
            for (entry, bytes) in part.iter_mut().zip(bytes.chunks_exact(4)) {
                *entry = u32_le(bytes, 0);
            }
        }
        each(number, &table, at)?;
    }
    Ok(())
}
