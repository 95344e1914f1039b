//! The strict reader of a stream, front to back.
//!
//! Refused, before a byte of it is handed on: grains out of order, twice, off their boundary or past the capacity; data
//! that inflates to anything but a grain (bombs); tables and a directory that do not say exactly where the grains
//! are; a footer that is not the header's copy; a stream without its end marker or with bytes after it. QEMU writes its
//! tables at the head and neither footer nor end marker: such a stream ends with its last grain, and zeros.

use std::io::{BufRead as _, BufReader, Read};

use libdeflater::Decompressor;

use super::ahead::Ahead;
use super::header::{DIRECTORY_AT_END, LENGTH as HEADER_LENGTH};
use super::inflate::{PackedGrain, check_length};
use super::map::Map;
use super::marker::{GRAIN_MARKER_LENGTH, Marker};
use super::{Descriptor, Extent, ExtentKind, Header, TABLE_ENTRIES, TABLE_SECTORS};
use crate::error::{Error, Kind, Place, Result};
use crate::field::u32_le;
use crate::source::{SECTOR, Source, is_zero, length};

const SECTOR_LENGTH: usize = 512;

/// A stream-optimized VMDK being read. Nothing but its whole length read without an error makes it sound.
pub struct Stream<R> {
    input: BufReader<R>,
    position: u64,
    header: Header,
    descriptor: Descriptor,
    decompressor: Decompressor,
    packed: Vec<u8>,
    grain: Vec<u8>,
    tables: Tables,
    summary: Summary,
}

/// Where the tables are that say where the grains are.
enum Tables {
    /// Behind their grains, as the format has it.
    Behind(Map),
    /// Before all grains, as QEMU has it.
    Ahead(Ahead),
}

/// One grain of data.
#[derive(Debug, PartialEq, Eq)]
pub struct Grain<'a> {
    /// Where it belongs on the disk, in bytes.
    pub offset: u64,
    /// Its bytes; the last one of a disk ends with the disk.
    pub data: &'a [u8],
}

/// What a stream held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// The disk's size in bytes.
    pub capacity: u64,
    /// Grains that hold data.
    pub grains: u64,
    /// The stream's length in bytes.
    pub length: u64,
}

impl<R: Read> Stream<R> {
    /// Reads header and descriptor. `capacity_limit` is the largest disk in bytes that the caller expects: what the
    /// package's descriptor declared.
    ///
    /// # Errors
    /// As [`Header::parse`] and [`Descriptor::parse`]; [`Kind::Ceiling`] above the limit; [`Kind::Unsupported`] for a
    /// sparse disk, and for one whose tables are neither behind their grains nor all at the head as QEMU writes them:
    /// [`super::Disk`] reads those.
    pub fn open(input: R, capacity_limit: u64) -> Result<Self> {
        let mut input = BufReader::with_capacity(1 << 18, input);
        let mut head = vec![0; HEADER_LENGTH];
        input.read_exact(&mut head).map_err(|e| unreadable(0, e))?;
        let header = Header::parse(&head)?;
        let refuse = |kind, reason| Err(Error::new(kind, Place::Offset(0), reason));
        if header.capacity_bytes() > capacity_limit {
            return refuse(
                Kind::Ceiling,
                "the VMDK is larger than the disk that was declared",
            );
        }
        if !header.is_stream() {
            return refuse(Kind::Unsupported, "the VMDK is sparse: no stream");
        }
        let behind = header.directory == DIRECTORY_AT_END;
        if behind && header.redundant().is_some() {
            return refuse(
                Kind::Unsupported,
                "the VMDK has one directory at its end and a copy elsewhere",
            );
        }
        if header.descriptor_offset != 1 || header.overhead < 1 || (behind && header.overhead > 2048) {
            return refuse(
                Kind::Unsupported,
                "the VMDK's descriptor is not where a stream has it",
            );
        }
        let mut text = vec![0; length(header.descriptor_sectors * SECTOR)];
        input.read_exact(&mut text).map_err(|e| unreadable(SECTOR, e))?;
        let mut at = 1 + header.descriptor_sectors;
        let mut next = || {
            let mut sector = [0; SECTOR_LENGTH];
            let read = input.read_exact(&mut sector);
            read.map_err(|e| unreadable(at * SECTOR, e))?;
            at += 1;
            Ok(sector)
        };
        let tables = if behind {
            for _ in 1 + header.descriptor_sectors..header.overhead {
                if !is_zero(&next()?) {
                    return refuse(
                        Kind::Malformed,
                        "the VMDK has bytes between its descriptor and its grains",
                    );
                }
            }
            Tables::Behind(Map::new(&header))
        } else {
            Tables::Ahead(Ahead::read(&header, 1 + header.descriptor_sectors, &mut next)?)
        };
        let descriptor = Descriptor::parse_alone(&text).map_err(|e| e.at(Place::Offset(SECTOR)))?;
        if descriptor.create_type != "streamOptimized" {
            return refuse(
                Kind::Unsupported,
                "the VMDK's descriptor is not of a stream-optimized disk",
            );
        }
        if descriptor.parent.is_some() {
            return refuse(Kind::Unsupported, "a delta disk, which needs its parent");
        }
        let whole = matches!(
            descriptor.extents.as_slice(),
            [Extent { sectors, kind: ExtentKind::Sparse { .. }, .. }] if *sectors == header.capacity
        );
        if !whole {
            return refuse(
                Kind::Malformed,
                "the VMDK's descriptor tells another size than its header",
            );
        }
        Ok(Self {
            input,
            position: header.overhead * SECTOR,
            tables,
            grain: vec![0; header.grain_bytes()],
            summary: Summary {
                capacity: header.capacity_bytes(),
                ..Summary::default()
            },
            header,
            descriptor,
            decompressor: Decompressor::new(),
            packed: Vec::new(),
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The next grain of data, in the disk's order; nothing once the whole stream has proved sound.
    ///
    /// # Errors
    /// The first rule that the stream breaks, at its byte offset. A stream that failed gives no more.
    pub fn next_grain(&mut self) -> Result<Option<Grain<'_>>> {
        let mut bytes = std::mem::take(&mut self.packed);
        bytes.clear();
        let next = self.next_packed(&mut bytes);
        self.packed = bytes;
        let Some(packed) = next? else { return Ok(None) };
        packed.inflate(&self.packed, &mut self.decompressor, &mut self.grain)?;
        Ok(Some(Grain {
            offset: packed.offset,
            data: &self.grain[..packed.length],
        }))
    }

    /// The next grain as it is stored: its sectors are added to `bytes`.
    pub(super) fn next_packed(&mut self, bytes: &mut Vec<u8>) -> Result<Option<PackedGrain>> {
        loop {
            let at = self.position;
            if matches!(&self.tables, Tables::Ahead(ahead) if ahead.is_done()) {
                self.end_of_ahead()?;
                return Ok(None);
            }
            let sector = self.sector()?;
            match Marker::parse(&sector, at)? {
                Marker::Grain {
                    sector: first,
                    length,
                } => {
                    let packed = self.take(&sector, at, (first, length), bytes)?;
                    self.summary.grains += 1;
                    return Ok(Some(packed));
                }
                Marker::Table {
                    sectors: TABLE_SECTORS,
                } => {
                    let table = self.numbers(TABLE_ENTRIES)?;
                    let Tables::Behind(map) = &mut self.tables else {
                        return Err(misplaced(at));
                    };
                    map.table(&table, at + SECTOR)?;
                }
                Marker::Directory { sectors } if sectors == self.header.directory_sectors() => {
                    self.end(at + SECTOR)?;
                    return Ok(None);
                }
                _ => return Err(misplaced(at)),
            }
        }
    }

    /// Hands all grains to `sink`, in order; what it does not get is zeros.
    ///
    /// # Errors
    /// As [`Stream::next_grain`], and whatever `sink` gives.
    pub fn read_to(mut self, sink: &mut dyn FnMut(Grain<'_>) -> Result<()>) -> Result<Summary> {
        while let Some(grain) = self.next_grain()? {
            sink(grain)?;
        }
        Ok(self.summary)
    }

    /// Reads all and compares it with a raw disk; a raw disk that ends within a sector is taken as followed by zeros.
    ///
    /// # Errors
    /// [`Kind::Differs`] at the first grain that differs; else as [`Stream::next_grain`] and of reading `disk`.
    pub fn compare(self, disk: &dyn Source) -> Result<Summary> {
        let differs = |at| {
            Error::new(
                Kind::Differs,
                Place::Offset(at),
                "the VMDK differs from the raw disk",
            )
        };
        if self.summary.capacity != disk.size().next_multiple_of(SECTOR) {
            return Err(differs(disk.size()));
        }
        let mut done = 0;
        let mut raw = vec![0; self.header.grain_bytes()];
        let summary = self.read_to(&mut |Grain { offset, data }| {
            check_zero(disk, done..offset, &mut raw)?.map_or(Ok(()), |at| Err(differs(at)))?;
            let raw = &mut raw[..data.len()];
            let known = raw.len().min(length(disk.size() - offset));
            raw[known..].fill(0);
            disk.read_at(offset, &mut raw[..known])?;
            done = offset + data.len() as u64;
            if raw == data { Ok(()) } else { Err(differs(offset)) }
        })?;
        check_zero(disk, done..disk.size(), &mut raw)?.map_or(Ok(summary), |at| Err(differs(at)))
    }

    /// Adds the sectors of the grain whose marker's sector is given to `bytes`.
    fn take(
        &mut self,
        sector: &[u8; SECTOR_LENGTH],
        at: u64,
        (first, packed): (u64, u32),
        bytes: &mut Vec<u8>,
    ) -> Result<PackedGrain> {
        let packed = packed as usize;
        check_length(packed, self.grain.len(), at)?;
        match &mut self.tables {
            Tables::Behind(map) => map.grain(&self.header, first, at)?,
            Tables::Ahead(ahead) => ahead.grain(first, at)?,
        }
        let start = bytes.len();
        let end = start + (GRAIN_MARKER_LENGTH + packed).next_multiple_of(SECTOR_LENGTH);
        bytes.extend_from_slice(sector);
        bytes.resize(end, 0);
        self.input
            .read_exact(&mut bytes[start + SECTOR_LENGTH..])
            .map_err(|e| unreadable(self.position, e))?;
        self.position += (end - start - SECTOR_LENGTH) as u64;
        let data = start + GRAIN_MARKER_LENGTH..start + GRAIN_MARKER_LENGTH + packed;
        if !is_zero(&bytes[data.end..]) {
            return Err(Error::malformed(
                Place::Offset(at),
                "a VMDK grain is followed by bytes that belong to nothing",
            ));
        }
        Ok(PackedGrain {
            offset: first * SECTOR,
            length: length((self.header.capacity - first).min(self.header.grain_sectors) * SECTOR),
            at,
            data,
        })
    }

    /// From the directory's content at `directory_at` to the end.
    fn end(&mut self, directory_at: u64) -> Result<()> {
        // By sectors: of a large disk the directory is long.
        let (tables, per_sector) = (self.header.tables(), SECTOR_LENGTH / 4);
        for first in (0..tables).step_by(per_sector) {
            let entries = self.numbers(per_sector.min(tables - first))?;
            let Tables::Behind(map) = &mut self.tables else {
                return Err(misplaced(directory_at));
            };
            map.directory(first, &entries, directory_at)?;
        }
        let at = self.position;
        let malformed = |at, reason| Err(Error::malformed(Place::Offset(at), reason));
        if Marker::parse(&self.sector()?, at)? != (Marker::Footer { sectors: 1 }) {
            return malformed(at, "the VMDK has no footer after its grain directory");
        }
        let footer = Header {
            directory: directory_at / SECTOR,
            ..self.header
        };
        if Header::parse(&self.sector()?)? != footer {
            return malformed(
                at + SECTOR,
                "the VMDK's footer is not its header with the directory's place",
            );
        }
        let at = self.position;
        if Marker::parse(&self.sector()?, at)? != Marker::End {
            return malformed(at, "the VMDK has no end-of-stream marker");
        }
        let mut more = [0];
        match self.input.read(&mut more) {
            Ok(0) => {
                self.summary.length = self.position;
                Ok(())
            }
            Ok(_) => malformed(self.position, "the VMDK has bytes after its end-of-stream marker"),
            Err(e) => Err(unreadable(self.position, e)),
        }
    }

    /// QEMU fills the file up with zeros to where its last grain would end if it were not compressed.
    fn end_of_ahead(&mut self) -> Result<()> {
        let most = self.header.grain_sectors + 1;
        for _ in 0..=most {
            let buffered = self.input.fill_buf();
            if buffered.map_err(|e| unreadable(self.position, e))?.is_empty() {
                self.summary.length = self.position;
                return Ok(());
            }
            let at = self.position;
            if !is_zero(&self.sector()?) {
                let reason = "the VMDK has bytes after its last grain";
                return Err(Error::malformed(Place::Offset(at), reason));
            }
        }
        let reason = "the VMDK goes on after its last grain";
        Err(Error::malformed(Place::Offset(self.position), reason))
    }

    fn sector(&mut self) -> Result<[u8; SECTOR_LENGTH]> {
        let mut sector = [0; SECTOR_LENGTH];
        self.input
            .read_exact(&mut sector)
            .map_err(|e| unreadable(self.position, e))?;
        self.position += SECTOR;
        Ok(sector)
    }

    /// So many 32-bit numbers, in whole sectors that end in zeros.
    fn numbers(&mut self, count: usize) -> Result<Vec<u32>> {
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            let sector = self.sector()?;
            let taken = (count - numbers.len()).min(SECTOR_LENGTH / 4);
            numbers.extend((0..taken).map(|n| u32_le(&sector, n * 4)));
            if !is_zero(&sector[taken * 4..]) {
                return Err(Error::malformed(
                    Place::Offset(self.position),
                    "a VMDK table with bytes after its end",
                ));
            }
        }
        Ok(numbers)
    }
}

fn misplaced(at: u64) -> Error {
    Error::malformed(Place::Offset(at), "a VMDK marker out of its place")
}

/// The first place in `range` of `disk` that is not zero.
fn check_zero(disk: &dyn Source, range: std::ops::Range<u64>, buffer: &mut [u8]) -> Result<Option<u64>> {
    let mut at = range.start;
    while let Some(data) = disk.next_data(at)?.filter(|data| data.start < range.end) {
        let end = data.end.min(range.end).min(data.start + buffer.len() as u64);
        let block = &mut buffer[..length(end - data.start)];
        disk.read_at(data.start, block)?;
        if !is_zero(block) {
            return Ok(Some(data.start));
        }
        at = end;
        if at >= range.end {
            break;
        }
    }
    Ok(None)
}

fn unreadable(at: u64, error: std::io::Error) -> Error {
    Error::io(Place::Offset(at), "read the VMDK", error)
}
