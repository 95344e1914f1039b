//! A raw disk as a VHD.

use super::footer::{self, Footer, Form};
use super::header::{self, BLOCK, Header};
use super::{CAPACITY_LIMIT, SIZE_UNIT};
use crate::error::{Error, Kind, Place, Result};
use crate::guid::Guid;
use crate::source::{Progress, SECTOR, Sink, Source, is_zero, length, write_data};

/// How a VHD is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// How the disk is stored.
    pub form: Form,
    /// The disk's identity. Without one it is derived from the size: the same at each build.
    pub id: Option<Guid>,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The disk's size in bytes: the source's, rounded up to a whole MiB.
    pub capacity: u64,
    /// The file's length in bytes.
    pub length: u64,
    /// The disk's identity.
    pub id: Guid,
}

/// Writes `source` to `sink`, an empty one, holes and zeros left out; memory stays at a few megabytes whatever the
/// disk's size. `progress` is called now and then.
///
/// # Errors
/// [`Kind::Ceiling`] for an empty disk and one above [`CAPACITY_LIMIT`]; and whatever reading and writing give.
pub fn write(
    source: &dyn Source,
    sink: &dyn Sink,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    let size = source.size();
    if size == 0 || size > CAPACITY_LIMIT {
        let reason = "a VHD holds more than nothing, at most 2040 GiB";
        return Err(Error::new(Kind::Ceiling, Place::Whole, reason));
    }
    let capacity = size.next_multiple_of(SIZE_UNIT);
    let id = options
        .id
        .unwrap_or_else(|| Guid::derive(&[b"vhd".as_slice(), &capacity.to_be_bytes()].concat()));
    let footer = Footer::new(options.form, capacity, id);
    let end = match options.form {
        Form::Fixed => {
            blocks(source, progress, &mut |index, block| {
                // The disk may end inside its last block, and so does the file.
                let known = block.len().min(length(capacity - index * BLOCK));
                write_data(sink, index * BLOCK, &block[..known])
            })?;
            capacity
        }
        Form::Dynamic => dynamic(source, sink, &footer, progress)?,
    };
    sink.write_at(end, &footer.render())?;
    Ok(Written {
        capacity,
        length: end + footer::LENGTH as u64,
        id,
    })
}

/// Writes all but the footer; where that goes.
fn dynamic(
    source: &dyn Source,
    sink: &dyn Sink,
    footer: &Footer,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64> {
    let header = Header::new(footer.header, footer.size);
    sink.write_at(0, &footer.render())?;
    sink.write_at(footer.header, &header.render())?;
    debug_assert_eq!(header.table, footer.header + header::LENGTH as u64);
    // Unused entries and the padding are all ones.
    let mut table = vec![0xff; length(header.table_length())];
    let mut next = header.table + header.table_length();
    let bitmap = vec![0xff; length(header.bitmap())];
    blocks(source, progress, &mut |index, block| {
        let sector = u32::try_from(next / SECTOR).expect("blocks of 2040 GiB end below 2 TiB");
        let entry = length(index) * 4;
        table[entry..entry + 4].copy_from_slice(&sector.to_be_bytes());
        sink.write_at(next, &bitmap)?;
        write_data(sink, next + header.bitmap(), block)?;
        next += header.bitmap() + BLOCK;
        Ok(())
    })?;
    sink.write_at(header.table, &table)?;
    Ok(next)
}

/// Hands the blocks that hold anything but zeros to `put`, whole, in the disk's order.
fn blocks(
    source: &dyn Source,
    progress: &mut dyn FnMut(Progress),
    put: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut report = Progress {
        done: 0,
        total: source.data_length()?,
    };
    let mut buffer = vec![0; length(BLOCK)];
    let mut next = 0;
    // Two stretches may share a block: the second begins after it.
    while let Some(data) = source.next_data(next * BLOCK)? {
        next = data.end.div_ceil(BLOCK);
        for index in data.start / BLOCK..next {
            let known = length(source.size() - index * BLOCK).min(buffer.len());
            let (head, tail) = buffer.split_at_mut(known);
            source.read_at(index * BLOCK, head)?;
            tail.fill(0);
            if !is_zero(&buffer) {
                put(index, &buffer)?;
            }
            report.done = (report.done + known as u64).min(report.total);
            progress(report);
        }
    }
    Ok(())
}
