//! A raw disk as one sparse file (`monolithicSparse`), which hosted products and QEMU attach without conversion.
//!
//! Header, descriptor, redundant directory with its tables, directory with its tables, then grains in the disk's order.
//! Every table has its place from the start, as the format asks; those without grains are holes in the file.

use std::ops::Range;

use super::grain::GRAIN;
use super::header::Header;
use super::writer::{Options, Written, content_id};
use super::{CAPACITY_LIMIT, TABLE_ENTRIES, TABLE_SECTORS};
use crate::error::{Error, Kind, Place, Result};
use crate::source::{Progress, SECTOR, Sink, Source, is_zero, length};

/// Grains read at once.
const GRAINS_PER_READ: u64 = 16;

/// Writes `source` to `sink`, an empty one; memory stays at a few megabytes whatever the disk's size.
///
/// Of `options`, level and threads play no part. A size that is no multiple of 512 is rounded up. `progress` is called
/// now and then.
///
/// # Errors
/// [`Kind::Invalid`] for options out of range, [`Kind::Ceiling`] for an empty disk, one above [`CAPACITY_LIMIT`], or a
/// file above the format's 2 TiB; and whatever reading and writing give.
pub fn write_sparse(
    source: &dyn Source,
    sink: &dyn Sink,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    let size = source.size();
    if size == 0 || size > CAPACITY_LIMIT {
        let reason = "a VMDK holds more than nothing, at most 64 TiB";
        return Err(Error::new(Kind::Ceiling, Place::Whole, reason));
    }
    let capacity = size.div_ceil(SECTOR);
    let content_id = content_id(options, capacity)?;
    let header = Header::sparse(capacity);
    let mut file = Output {
        sink,
        header,
        next: header.overhead,
        table: (0, [0; TABLE_ENTRIES]),
    };
    sink.write_at(0, &header.render())?;
    let text = options.descriptor("monolithicSparse", content_id, capacity);
    sink.write_at(SECTOR, text.as_bytes())?;
    file.directories()?;
    let mut report = Progress {
        done: 0,
        total: source.data_length()?,
    };
    let mut grains = 0;
    let mut run: Range<u64> = 0..0;
    let mut buffer = vec![0; length(GRAINS_PER_READ * GRAIN)];
    // Two stretches may share a grain: the second begins after it.
    while let Some(data) = source.next_data(run.end * GRAIN)? {
        run = data.start / GRAIN..data.end.div_ceil(GRAIN);
        while !run.is_empty() {
            let piece = run.start..run.end.min(run.start + GRAINS_PER_READ);
            run.start = piece.end;
            let bytes = read_grains(source, piece.clone(), &mut buffer)?;
            for (index, grain) in piece.zip(bytes.chunks_exact(length(GRAIN))) {
                if !is_zero(grain) {
                    file.grain(index, grain)?;
                    grains += 1;
                }
            }
            report.done = (report.done + bytes.len() as u64).min(report.total);
            progress(report);
        }
    }
    file.end_table()?;
    let length = file.next * SECTOR;
    sink.set_size(length)?;
    Ok(Written {
        capacity: header.capacity_bytes(),
        grains,
        populated: (grains * GRAIN).min(header.capacity_bytes()),
        length,
        content_id,
    })
}

/// The disk may end inside its last grain, which is whole in the file.
fn read_grains<'a>(source: &dyn Source, grains: Range<u64>, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
    let start = grains.start * GRAIN;
    let bytes = &mut buffer[..length(grains.end * GRAIN - start)];
    let known = bytes.len().min(length(source.size() - start));
    bytes[known..].fill(0);
    source.read_at(start, &mut bytes[..known])?;
    Ok(bytes)
}

struct Output<'a> {
    sink: &'a dyn Sink,
    header: Header,
    /// The sector of the file that the next grain takes.
    next: u64,
    /// The table being filled: its number, and each grain's sector.
    table: (u64, [u32; TABLE_ENTRIES]),
}

impl Output<'_> {
    /// Both directories: each one's tables follow it at once.
    fn directories(&self) -> Result<()> {
        for at in [self.header.redundant_directory, self.header.directory] {
            let mut offset = at * SECTOR;
            let mut block = Vec::with_capacity(1 << 16);
            for number in 0..self.header.tables() as u64 {
                let table = file_sector(self.table_sector(at, number))?;
                block.extend(table.to_le_bytes());
                if block.len() == block.capacity() {
                    self.sink.write_at(offset, &block)?;
                    offset += block.len() as u64;
                    block.clear();
                }
            }
            self.sink.write_at(offset, &block)?;
        }
        Ok(())
    }

    fn table_sector(&self, directory: u64, number: u64) -> u64 {
        directory + self.header.directory_sectors() + number * TABLE_SECTORS
    }

    fn grain(&mut self, index: u64, bytes: &[u8]) -> Result<()> {
        let number = index / TABLE_ENTRIES as u64;
        if number != self.table.0 {
            self.end_table()?;
            self.table.0 = number;
        }
        self.table.1[length(index % TABLE_ENTRIES as u64)] = file_sector(self.next)?;
        self.sink.write_at(self.next * SECTOR, bytes)?;
        self.next += self.header.grain_sectors;
        Ok(())
    }

    fn end_table(&mut self) -> Result<()> {
        let entries = std::mem::replace(&mut self.table.1, [0; TABLE_ENTRIES]);
        if entries.iter().all(|&entry| entry == 0) {
            return Ok(());
        }
        let bytes = entries.map(u32::to_le_bytes).concat();
        for directory in [self.header.redundant_directory, self.header.directory] {
            let at = self.table_sector(directory, self.table.0);
            self.sink.write_at(at * SECTOR, &bytes)?;
        }
        Ok(())
    }
}

fn file_sector(sector: u64) -> Result<u32> {
    u32::try_from(sector).map_err(|_| {
        let place = Place::Offset(sector * SECTOR);
        Error::new(Kind::Ceiling, place, "a sparse VMDK cannot be longer than 2 TiB")
    })
}
