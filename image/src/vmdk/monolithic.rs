//! A raw disk as one sparse file (`monolithicSparse`), which hosted products and QEMU attach without conversion.
//!
//! Header, descriptor, redundant directory with its tables, directory with its tables, then grains in the disk's order.
//! Every table has its place from the start, as the format asks; those without grains are holes in the file.

use super::grain::GRAIN;
use super::header::Header;
use super::writer::{Options, Written, content_id};
use super::{CAPACITY_LIMIT, TABLE_ENTRIES, TABLE_SECTORS};
use crate::error::{Error, Kind, Place, Result};
use crate::feed::{Feed, Scan};
use crate::pipeline::{self, Filled};
use crate::source::{Progress, SECTOR, Sink, Source, length};

/// Writes `source` to `sink`, an empty one; memory stays below 64 MiB whatever the disk's size.
///
/// Of `options`, the level plays no part. A size that is no multiple of 512 is rounded up. `progress` is called
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
    write_sparse_feed(&mut Scan::new(source), sink, options, progress)
}

/// As [`write_sparse`], from wherever the data comes.
pub(crate) fn write_sparse_feed<'a>(
    feed: &mut dyn Feed<'a>,
    sink: &dyn Sink,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    let size = feed.size();
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
    let mut grains = 0;
    pipeline::run(
        feed,
        GRAIN,
        options.threads.get(),
        &|| Ok(Box::new(Ok)),
        &mut |job: Filled| {
            for (index, grain) in job.blocks() {
                file.grain(index, grain)?;
                grains += 1;
            }
            Ok(())
        },
        progress,
    )?;
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
