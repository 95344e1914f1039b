//! A stream-optimized VMDK read at random, as a raw disk.

use std::ops::Range;

use libdeflater::Decompressor;

use super::header::{DIRECTORY_AT_END, LENGTH as HEADER_LENGTH};
use super::inflate::{check_length, inflate};
use super::marker::{GRAIN_MARKER_LENGTH, Marker};
use super::{Descriptor, Header, TABLE_ENTRIES};
use crate::error::{Error, Kind, Place, Result};
use crate::field::u32_le;
use crate::source::{SECTOR, Source};

/// The raw disk inside a VMDK. Its tables are read as they are needed; memory goes to the grain directory alone.
///
/// Unlike [`super::Stream`] it does not prove the whole file sound, and it takes files with their directory at the head.
/// Each grain carries its own place on the disk, so tables that let two places share a grain fail when that is read.
pub struct Disk<S> {
    file: S,
    header: Header,
    descriptor: Descriptor,
    directory: Vec<u32>,
}

impl<S: Source> Disk<S> {
    /// Reads header, descriptor, footer and grain directory of the VMDK whose bytes `file` gives.
    ///
    /// # Errors
    /// As [`Header::parse`] and [`Descriptor::parse`]; [`Kind::Ceiling`] above `capacity_limit` bytes;
    /// [`Kind::Malformed`] for a footer of another disk; [`Kind::Overlap`] for tables outside the file or over each other.
    pub fn open(file: S, capacity_limit: u64) -> Result<Self> {
        let head = Header::parse(&read(&file, 0, HEADER_LENGTH)?)?;
        if head.capacity_bytes() > capacity_limit {
            let reason = "the VMDK is larger than the disk that was declared";
            return Err(Error::new(Kind::Ceiling, Place::Offset(0), reason));
        }
        let header = if head.directory == DIRECTORY_AT_END {
            footer(&file, &head)?
        } else {
            head
        };
        let text = read(
            &file,
            head.descriptor_offset * SECTOR,
            small(head.descriptor_sectors * SECTOR),
        )?;
        let descriptor = Descriptor::parse(&text).map_err(|e| e.at(Place::Offset(SECTOR)))?;
        let directory = numbers(&file, header.directory, header.tables())?;
        let disk = Self {
            file,
            header,
            descriptor,
            directory,
        };
        disk.check_tables()?;
        Ok(disk)
    }

    /// The header, or the footer that stands for it.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn check_tables(&self) -> Result<()> {
        let mut tables: Vec<u64> = self
            .directory
            .iter()
            .filter(|&&at| at > 1)
            .map(|&at| u64::from(at))
            .collect();
        tables.sort_unstable();
        let over = tables.windows(2).any(|pair| pair[1] < pair[0] + 4);
        let past = tables
            .last()
            .is_some_and(|last| (last + 4) * SECTOR > self.file.size());
        if over || past {
            let place = Place::Offset(self.header.directory.saturating_mul(SECTOR));
            return Err(Error::new(
                Kind::Overlap,
                place,
                "VMDK grain tables lie over each other or outside the file",
            ));
        }
        Ok(())
    }

    /// The sectors of the file that hold the grains of one table; 0 for none.
    fn table(&self, number: usize) -> Result<Option<Vec<u32>>> {
        match self.directory.get(number) {
            // An entry of 1 means zeros, as 0 does for a disk without a parent.
            None | Some(0 | 1) => Ok(None),
            Some(&at) => numbers(&self.file, u64::from(at), TABLE_ENTRIES).map(Some),
        }
    }

    /// Reads grain `index` from sector `at` of the file.
    fn grain(&self, index: u64, at: u32) -> Result<Vec<u8>> {
        let start = u64::from(at) * SECTOR;
        let mut sector = [0; 512];
        self.file.read_at(start, &mut sector)?;
        let first = index * self.header.grain_sectors;
        let packed = match Marker::parse(&sector, start)? {
            Marker::Grain { sector, length } if sector == first => length as usize,
            _ => {
                let reason = "a VMDK grain table points at something else than that grain";
                return Err(Error::malformed(Place::Offset(start), reason));
            }
        };
        let mut grain = vec![0; self.header.grain_bytes()];
        check_length(packed, grain.len(), start)?;
        let data = read(&self.file, start + GRAIN_MARKER_LENGTH as u64, packed)?;
        let left = small((self.header.capacity - first).min(self.header.grain_sectors) * SECTOR);
        inflate(&mut Decompressor::new(), &data, &mut grain, left, start)?;
        Ok(grain)
    }
}

impl<S: Source> Source for Disk<S> {
    fn size(&self) -> u64 {
        self.header.capacity_bytes()
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        let (grain_bytes, entries) = (self.header.grain_sectors * SECTOR, TABLE_ENTRIES as u64);
        let mut index = from / grain_bytes;
        while index * grain_bytes < self.size() {
            if let Some(table) = self.table(small(index / entries))? {
                let rest = &table[small(index % entries)..];
                if let Some(skip) = rest.iter().position(|&sector| sector > 1) {
                    // A stretch ends with its table at the latest: the caller asks again.
                    let run = rest[skip..].iter().take_while(|&&sector| sector > 1).count() as u64;
                    let first = index + skip as u64;
                    let end = ((first + run) * grain_bytes).min(self.size());
                    let start = (first * grain_bytes).max(from);
                    return Ok((start < end).then_some(start..end));
                }
            }
            index = (index / entries + 1) * entries;
        }
        Ok(None)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset
            .checked_add(buffer.len() as u64)
            .filter(|&end| end <= self.size());
        let end = end
            .ok_or_else(|| Error::new(Kind::Truncated, Place::Offset(offset), "past the VMDK's capacity"))?;
        let grain_bytes = self.header.grain_sectors * SECTOR;
        let mut at = offset;
        while at < end {
            let index = at / grain_bytes;
            let stop = end.min((index + 1) * grain_bytes);
            let target = &mut buffer[small(at - offset)..small(stop - offset)];
            let table = self.table(small(index / TABLE_ENTRIES as u64))?;
            match table.map_or(0, |table| table[small(index % TABLE_ENTRIES as u64)]) {
                0 | 1 => target.fill(0),
                sector => {
                    let skip = small(at - index * grain_bytes);
                    let grain = self.grain(index, sector)?;
                    target.copy_from_slice(&grain[skip..skip + target.len()]);
                }
            }
            at = stop;
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

/// Bytes of the file; nothing is set aside for what the file cannot hold.
fn read<S: Source>(file: &S, at: u64, length: usize) -> Result<Vec<u8>> {
    if at.checked_add(length as u64).is_none_or(|end| end > file.size()) {
        return Err(Error::new(
            Kind::Truncated,
            Place::Offset(at),
            "the VMDK ends before that",
        ));
    }
    let mut bytes = vec![0; length];
    file.read_at(at, &mut bytes)?;
    Ok(bytes)
}

fn small(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
