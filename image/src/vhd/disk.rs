//! A VHD read at random, as a raw disk.
//!
//! | an attack | what stops it |
//! |---|---|
//! | sizes beyond the format, blocks of no size or a huge one | ceilings, before anything is set aside |
//! | a footer, a copy or a header that was changed | checksums, and the copy has to agree with the footer |
//! | a table outside the file, or shorter than the disk | refused when it is opened |
//! | blocks outside the file | refused when they are read, and found by [`Disk::check`] |
//! | blocks over each other or over the tables | found by [`Disk::check`] |

use std::ops::Range;
use std::sync::Arc;

use super::Footer;
use super::footer::{self, Form};
use super::header::{self, Header};
use crate::cache::Cache;
use crate::error::{Error, Kind, Place, Result};
use crate::field::u32_be;
use crate::source::{SECTOR, Source, check_range, length, read};

/// Bitmaps in memory: of 128 MiB of a usual disk, at most 4 MiB.
const BITMAPS_KEPT: usize = 64;
pub(super) const UNUSED: u32 = u32::MAX;

/// The raw disk inside a VHD. Memory goes to the table, at most 16 MiB, and to a few blocks' bitmaps.
pub struct Disk<S> {
    pub(super) file: S,
    pub(super) footer: Footer,
    /// Where the footer begins.
    pub(super) end: u64,
    /// Of a dynamic disk.
    pub(super) blocks: Option<Blocks>,
}

pub(super) struct Blocks {
    pub(super) header: Header,
    /// Each block's sector, or [`UNUSED`].
    pub(super) table: Vec<u32>,
    bitmaps: Cache<u64, Vec<u8>>,
}

impl<S: Source> Disk<S> {
    /// Reads the footer and, of a dynamic disk, its copy, header and table.
    ///
    /// # Errors
    /// As [`Footer::parse`]; [`Kind::Ceiling`] above `capacity_limit` bytes; [`Kind::Truncated`] for a file shorter than
    /// its footer says; [`Kind::Malformed`] and [`Kind::Checksum`] for a copy that disagrees or a damaged header.
    pub fn open(file: S, capacity_limit: u64) -> Result<Self> {
        let (end, footer) = last(&file)?;
        if footer.size > capacity_limit {
            let reason = "the VHD is larger than the disk that was declared";
            return Err(Error::new(Kind::Ceiling, Place::Offset(end), reason));
        }
        let blocks = match footer.form {
            Form::Fixed if footer.size > end => {
                let reason = "the VHD ends before the size that its footer tells";
                return Err(Error::new(Kind::Truncated, Place::Offset(end), reason));
            }
            Form::Fixed => None,
            Form::Dynamic => Some(Blocks::read(&file, &footer)?),
        };
        Ok(Self {
            file,
            footer,
            end,
            blocks,
        })
    }

    /// The footer.
    pub fn footer(&self) -> &Footer {
        &self.footer
    }
}

/// Where the footer is, and what it says. Those from before Virtual PC 2004 lack the last byte, a zero.
fn last<S: Source>(file: &S) -> Result<(u64, Footer)> {
    for length in [footer::LENGTH, footer::LENGTH - 1] {
        if let Some(at) = file.size().checked_sub(length as u64) {
            let mut bytes = read(file, at, length)?;
            bytes.resize(footer::LENGTH, 0);
            if bytes.starts_with(footer::COOKIE) {
                return Footer::parse(&bytes, at).map(|footer| (at, footer));
            }
        }
    }
    Err(Error::malformed(
        Place::Offset(file.size().saturating_sub(footer::LENGTH as u64)),
        "the VHD does not end with a footer",
    ))
}

impl Blocks {
    fn read<S: Source>(file: &S, footer: &Footer) -> Result<Self> {
        let copy = Footer::parse(&read(file, 0, footer::LENGTH)?, 0)?;
        if copy != *footer {
            let reason = "the VHD's footer and its copy at the head differ";
            return Err(Error::malformed(Place::Offset(0), reason));
        }
        let header = read(file, footer.header, header::LENGTH)?;
        let header = Header::parse(&header, footer.header, footer.size)?;
        let count = length(header.blocks(footer.size));
        let table = read(file, header.table, count * 4)?;
        Ok(Self {
            header,
            table: (0..count).map(|n| u32_be(&table, n * 4)).collect(),
            bitmaps: Cache::new(BITMAPS_KEPT),
        })
    }

    /// Where block `index` begins in the file, in bytes, and its sectors' bitmap; nothing if the file has none.
    fn block<S: Source>(&self, file: &S, index: u64) -> Result<Option<(u64, Arc<Vec<u8>>)>> {
        let at = match self.table.get(length(index)) {
            None | Some(&UNUSED) => return Ok(None),
            Some(&sector) => u64::from(sector) * SECTOR,
        };
        let bitmap = self
            .bitmaps
            .get(index, || read(file, at, length(self.header.bitmap())))?;
        Ok(Some((at + self.header.bitmap(), bitmap)))
    }
}

/// Whether the bitmap says that a sector holds anything; the first sector has the highest bit.
fn holds(bitmap: &[u8], sector: u64) -> bool {
    bitmap[length(sector / 8)] & (0x80 >> (sector % 8)) != 0
}

/// Where the run of sectors ends, at `end` at the latest, for which the bitmap says what it says of `first`.
fn run_end(bitmap: &[u8], first: u64, end: u64) -> u64 {
    let held = holds(bitmap, first);
    let same = if held { 0xff } else { 0 };
    let mut sector = first + 1;
    while sector < end {
        if sector.is_multiple_of(8) && bitmap[length(sector / 8)] == same {
            sector += 8;
        } else if holds(bitmap, sector) == held {
            sector += 1;
        } else {
            break;
        }
    }
    sector.min(end)
}

impl<S: Source> Source for Disk<S> {
    fn size(&self) -> u64 {
        self.footer.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        let size = self.footer.size;
        let Some(blocks) = &self.blocks else {
            if from >= size {
                return Ok(None);
            }
            let data = self.file.next_data(from)?;
            let data = data.map(|data| data.start..data.end.min(size));
            return Ok(data.filter(|data| !data.is_empty()));
        };
        let mut from = from;
        while from < size {
            let index = from / blocks.header.block;
            let (start, end) = (
                index * blocks.header.block,
                ((index + 1) * blocks.header.block).min(size),
            );
            if let Some((_, bitmap)) = blocks.block(&self.file, index)? {
                let last = (end - start) / SECTOR;
                let mut sector = (from - start) / SECTOR;
                if !holds(&bitmap, sector) {
                    sector = run_end(&bitmap, sector, last);
                }
                if sector < last {
                    let stop = run_end(&bitmap, sector, last);
                    return Ok(Some((start + sector * SECTOR).max(from)..start + stop * SECTOR));
                }
            }
            from = end;
        }
        Ok(None)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        check_range(self.footer.size, offset, buffer.len())?;
        let Some(blocks) = &self.blocks else {
            return self.file.read_at(offset, buffer);
        };
        let end = offset + buffer.len() as u64;
        let mut at = offset;
        while at < end {
            let start = at / blocks.header.block * blocks.header.block;
            let stop = end.min(start + blocks.header.block);
            let target = &mut buffer[length(at - offset)..length(stop - offset)];
            match blocks.block(&self.file, at / blocks.header.block)? {
                None => target.fill(0),
                Some((data, bitmap)) => self.read_block(data, &bitmap, at - start, target)?,
            }
            at = stop;
        }
        Ok(())
    }

    fn settled(&self) -> Result<()> {
        self.file.settled()
    }
}

impl<S: Source> Disk<S> {
    /// Fills `target` from byte `within` of the block whose data begins at byte `data` of the file.
    fn read_block(&self, data: u64, bitmap: &[u8], within: u64, target: &mut [u8]) -> Result<()> {
        let end = within + target.len() as u64;
        let mut at = within;
        while at < end {
            let sector = at / SECTOR;
            let stop = (run_end(bitmap, sector, end.div_ceil(SECTOR)) * SECTOR).min(end);
            let target = &mut target[length(at - within)..length(stop - within)];
            if holds(bitmap, sector) {
                self.file.read_at(data + at, target)?;
            } else {
                target.fill(0);
            }
            at = stop;
        }
        Ok(())
    }
}
