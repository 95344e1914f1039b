//! A sparse extent read at random: header, grain directory, grain tables, grains, plain or compressed.
//!
//! Refused where it is met: a directory or tables outside the file or over each other; a table that differs from its
//! redundant copy; a grain outside the file; a compressed grain that says it belongs elsewhere.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use libdeflater::Decompressor;

use super::header::{DIRECTORY_AT_END, LENGTH as HEADER_LENGTH};
use super::inflate::{check_length, inflate};
use super::marker::{GRAIN_MARKER_LENGTH, Marker};
use super::{Descriptor, Header, TABLE_ENTRIES, TABLE_SECTORS};
use crate::cache::Cache;
use crate::error::{Error, Kind, Place, Result};
use crate::field::u32_le;
use crate::source::{SECTOR, Source, check_range, length, read};

/// Tables in memory, of all extents of a disk: 512 KiB of them cover 8 GiB.
const TABLES_KEPT: usize = 256;
/// Tables in memory at the least of one extent.
const TABLES_LEAST: usize = 16;
/// Bytes of inflated grains in memory, for readers that ask for less than a grain.
const GRAINS_KEPT: usize = 512 << 10;

pub(super) type Table = [u32; TABLE_ENTRIES];

/// What a table says of a grain that this file does not store: nothing, or that it is zeros whatever a parent holds.
pub(super) const ABSENT: u32 = 0;
pub(super) const ZEROS: u32 = 1;

pub(super) struct Sparse<S> {
    pub(super) file: S,
    /// The header, or the footer that stands for it.
    pub(super) header: Header,
    /// Whether directory and tables follow the grains, with markers.
    pub(super) footed: bool,
    pub(super) directory: Vec<u32>,
    /// The directory's copy; empty where there is none.
    pub(super) redundant: Vec<u32>,
    /// Where the file is known to store nothing: among the tables, and among their copies.
    holes: [Mutex<Range<u64>>; 2],
    tables: Cache<u64, Table>,
    grains: Cache<u64, Vec<u8>>,
}

impl<S: Source> Sparse<S> {
    /// Reads header and directories of one of a disk's `extents` extents.
    pub(super) fn open(file: S, capacity_limit: u64, extents: usize) -> Result<Self> {
        let head = Header::parse(&read(&file, 0, HEADER_LENGTH)?)?;
        if head.capacity_bytes() > capacity_limit {
            let reason = "the VMDK is larger than the disk that was declared";
            return Err(Error::new(Kind::Ceiling, Place::Offset(0), reason));
        }
        let footed = head.directory == DIRECTORY_AT_END;
        let header = if footed { footer(&file, &head)? } else { head };
        let directory = numbers(&file, header.directory, header.tables())?;
        let redundant = match header.redundant() {
            Some(at) => numbers(&file, at, header.tables())?,
            None => Vec::new(),
        };
        let sparse = Self {
            file,
            header,
            footed,
            directory,
            redundant,
            holes: [Mutex::new(0..0), Mutex::new(0..0)],
            tables: Cache::new((TABLES_KEPT / extents).max(TABLES_LEAST)),
            grains: Cache::new(GRAINS_KEPT / header.grain_bytes()),
        };
        sparse.check_tables()?;
        Ok(sparse)
    }

    /// The descriptor inside the file.
    pub(super) fn descriptor(&self) -> Result<Descriptor> {
        let at = self.header.descriptor_offset * SECTOR;
        let text = read(&self.file, at, length(self.header.descriptor_sectors * SECTOR))?;
        Descriptor::parse(&text).map_err(|e| e.at(Place::Offset(at)))
    }

    pub(super) fn grain_bytes(&self) -> u64 {
        self.header.grain_sectors * SECTOR
    }

    /// The first stretch in `range` whose grains this file stores.
    pub(super) fn data_in(&self, range: Range<u64>) -> Result<Option<Range<u64>>> {
        let (grain_bytes, entries) = (self.grain_bytes(), TABLE_ENTRIES as u64);
        let mut index = range.start / grain_bytes;
        while index * grain_bytes < range.end {
            if let Some(table) = self.table(length(index / entries))? {
                let rest = &table[length(index % entries)..];
                if let Some(skip) = rest.iter().position(|&entry| entry > ZEROS) {
                    // A stretch ends with its table at the latest: the caller asks again.
                    let run = rest[skip..].iter().take_while(|&&entry| entry > ZEROS).count() as u64;
                    let first = index + skip as u64;
                    let start = (first * grain_bytes).max(range.start);
                    let end = ((first + run) * grain_bytes).min(range.end);
                    return Ok((start < end).then_some(start..end));
                }
            }
            index = (index / entries + 1) * entries;
        }
        Ok(None)
    }

    /// Fills `buffer` from `offset`; what this file knows nothing of, `below` fills.
    pub(super) fn read_at(
        &self,
        offset: u64,
        buffer: &mut [u8],
        below: &mut dyn FnMut(u64, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let end = offset + buffer.len() as u64;
        let mut at = offset;
        while at < end {
            let index = at / self.grain_bytes();
            let entry = self.entry(index)?;
            let stop = self.run_end(index, entry, end)?;
            let target = &mut buffer[length(at - offset)..length(stop - offset)];
            let skip = at - index * self.grain_bytes();
            match entry {
                ABSENT => below(at, target)?,
                ZEROS => target.fill(0),
                sector if self.header.is_stream() => self.read_grain(index, sector, length(skip), target)?,
                sector => self.file.read_at(u64::from(sector) * SECTOR + skip, target)?,
            }
            at = stop;
        }
        Ok(())
    }

    /// Where the run of grains ends that can be read at once, at `end` at the latest.
    fn run_end(&self, first: u64, entry: u32, end: u64) -> Result<u64> {
        let mut stop = (first + 1) * self.grain_bytes();
        while stop < end {
            let index = stop / self.grain_bytes();
            let next = u64::from(self.entry(index)?);
            let expected = match entry {
                ABSENT | ZEROS => u64::from(entry),
                _ if self.header.is_stream() => break,
                sector => u64::from(sector) + (index - first) * self.header.grain_sectors,
            };
            if next != expected {
                break;
            }
            stop += self.grain_bytes();
        }
        Ok(stop.min(end))
    }

    fn entry(&self, index: u64) -> Result<u32> {
        let table = self.table(length(index / TABLE_ENTRIES as u64))?;
        Ok(table.map_or(ABSENT, |table| table[length(index % TABLE_ENTRIES as u64)]))
    }

    /// The sectors of the file that hold the grains of one table; nothing where no grain has one.
    pub(super) fn table(&self, number: usize) -> Result<Option<Arc<Table>>> {
        match self.directory.get(number) {
            None | Some(&(ABSENT | ZEROS)) => Ok(None),
            Some(&at) => self
                .tables
                .get(number as u64, || {
                    let table = self.load(at, &self.holes[0])?;
                    match self.redundant.get(number) {
                        Some(&copy) if copy != at && self.load(copy, &self.holes[1])? != table => {
                            Err(Error::malformed(
                                Place::Offset(u64::from(copy) * SECTOR),
                                "a VMDK grain table differs from its redundant copy",
                            ))
                        }
                        _ => Ok(table),
                    }
                })
                .map(Some),
        }
    }

    fn load(&self, sector: u32, hole: &Mutex<Range<u64>>) -> Result<Table> {
        let (at, bytes) = (u64::from(sector) * SECTOR, TABLE_ENTRIES * 4);
        check_range(self.file.size(), at, bytes)?;
        if self.is_hole(at..at + bytes as u64, hole)? {
            return Ok([ABSENT; TABLE_ENTRIES]);
        }
        let bytes = read(&self.file, at, bytes)?;
        Ok(std::array::from_fn(|n| u32_le(&bytes, n * 4)))
    }

    /// Whether the file stores nothing there. Sparse files keep a place for every table, and of a large disk most are
    /// holes that lie side by side: the last one found is remembered.
    fn is_hole(&self, range: Range<u64>, known: &Mutex<Range<u64>>) -> Result<bool> {
        let mut hole = known.lock().unwrap_or_else(PoisonError::into_inner);
        if hole.start > range.start || range.end > hole.end {
            let data = self.file.next_data(range.start)?;
            *hole = range.start..data.map_or(self.file.size(), |data| data.start);
        }
        Ok(range.end <= hole.end)
    }

    fn read_grain(&self, index: u64, sector: u32, skip: usize, target: &mut [u8]) -> Result<()> {
        if target.len() as u64 == self.grain_bytes() {
            return self.inflate(index, sector, target);
        }
        let grain = self.grains.get(index, || {
            let mut whole = vec![0; self.header.grain_bytes()];
            self.inflate(index, sector, &mut whole)?;
            Ok(whole)
        })?;
        target.copy_from_slice(&grain[skip..skip + target.len()]);
        Ok(())
    }

    /// The sectors from the start of compressed grain `index` at `sector`, its marker included, and its data's length.
    pub(super) fn grain_extent(&self, index: u64, sector: u32) -> Result<(u64, usize)> {
        let start = u64::from(sector) * SECTOR;
        let mut head = [0; HEADER_LENGTH];
        self.file.read_at(start, &mut head)?;
        match Marker::parse(&head, start)? {
            Marker::Grain { sector, length } if sector == index * self.header.grain_sectors => {
                let packed = length as usize;
                check_length(packed, self.header.grain_bytes(), start)?;
                Ok((
                    (GRAIN_MARKER_LENGTH as u64 + u64::from(length)).div_ceil(SECTOR),
                    packed,
                ))
            }
            _ => {
                let reason = "a VMDK grain table points at something else than that grain";
                Err(Error::malformed(Place::Offset(start), reason))
            }
        }
    }

    /// Inflates compressed grain `index` at `sector` of the file.
    fn inflate(&self, index: u64, sector: u32, grain: &mut [u8]) -> Result<()> {
        let start = u64::from(sector) * SECTOR;
        let (_, packed) = self.grain_extent(index, sector)?;
        let data = read(&self.file, start + GRAIN_MARKER_LENGTH as u64, packed)?;
        let left = self.header.capacity - index * self.header.grain_sectors;
        let left = length(left.min(self.header.grain_sectors) * SECTOR);
        inflate(&mut Decompressor::new(), &data, grain, left, start)
    }

    fn check_tables(&self) -> Result<()> {
        let stored = self.directory.iter().copied().filter(|&at| at > ZEROS);
        let mut tables: Vec<u32> = stored.collect();
        tables.sort_unstable();
        let end = |at: u32| u64::from(at) + TABLE_SECTORS;
        let over = tables.windows(2).any(|pair| u64::from(pair[1]) < end(pair[0]));
        let past = tables
            .last()
            .is_some_and(|&last| end(last) * SECTOR > self.file.size());
        if over || past {
            return Err(Error::new(
                Kind::Overlap,
                Place::Offset(self.header.directory.saturating_mul(SECTOR)),
                "VMDK grain tables lie over each other or outside the file",
            ));
        }
        Ok(())
    }
}

/// The footer lies before the end-of-stream marker.
fn footer<S: Source>(file: &S, head: &Header) -> Result<Header> {
    let at = file
        .size()
        .checked_sub(2 * SECTOR)
        .ok_or_else(|| Error::new(Kind::Truncated, Place::Whole, "the VMDK has no room for a footer"))?;
    let footer = Header::parse(&read(file, at, HEADER_LENGTH)?).map_err(|e| e.at(Place::Offset(at)))?;
    let same = Header {
        directory: head.directory,
        ..footer
    } == *head;
    if !same || footer.directory == DIRECTORY_AT_END {
        return Err(Error::malformed(
            Place::Offset(at),
            "the VMDK's footer is not its header with the directory's place",
        ));
    }
    Ok(footer)
}

fn numbers<S: Source>(file: &S, sector: u64, count: usize) -> Result<Vec<u32>> {
    let at = sector
        .checked_mul(SECTOR)
        .ok_or_else(|| Error::malformed(Place::Whole, "a VMDK table lies outside the file"))?;
    let bytes = read(file, at, count * 4)?;
    Ok((0..count).map(|n| u32_le(&bytes, n * 4)).collect())
}
