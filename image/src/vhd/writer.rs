//! A raw disk as a VHD.

use std::num::NonZeroUsize;

use super::footer::{self, Footer, Form};
use super::header::{self, BLOCK, Header};
use super::{CAPACITY_LIMIT, SIZE_UNIT};
use crate::error::{Error, Kind, Place, Result};
use crate::feed::{Feed, Scan};
use crate::guid::Guid;
use crate::pipeline::{self, Filled};
use crate::source::{Progress, SECTOR, Sink, Source, length, write_data, write_stretches};

/// How a VHD is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How the disk is stored.
    pub form: Form,
    /// The disk's identity. Without one it is derived from the size: the same at each build.
    pub id: Option<Guid>,
    /// Threads that read and look for zeros. The output does not depend on their number.
    pub threads: NonZeroUsize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            form: Form::default(),
            id: None,
            threads: NonZeroUsize::MIN,
        }
    }
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

/// Writes `source` to `sink`, an empty one, holes and zeros left out; memory stays below 64 MiB whatever the disk's
/// size. `progress` is called now and then.
///
/// # Errors
/// [`Kind::Ceiling`] for an empty disk and one above [`CAPACITY_LIMIT`]; and whatever reading and writing give.
pub fn write(
    source: &dyn Source,
    sink: &dyn Sink,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    write_feed(&mut Scan::new(source), sink, options, progress)
}

/// As [`write`], from wherever the data comes.
pub(crate) fn write_feed<'a>(
    feed: &mut dyn Feed<'a>,
    sink: &dyn Sink,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    let size = feed.size();
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
            write_stretches(feed, sink, options.threads, progress)?;
            capacity
        }
        Form::Dynamic => dynamic(feed, sink, &footer, options.threads, progress)?,
    };
    sink.write_at(end, &footer.render())?;
    Ok(Written {
        capacity,
        length: end + footer::LENGTH as u64,
        id,
    })
}

/// Writes all but the footer; where that goes.
fn dynamic<'a>(
    feed: &mut dyn Feed<'a>,
    sink: &dyn Sink,
    footer: &Footer,
    threads: NonZeroUsize,
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
    let mut put = |index: u64, block: &[u8]| {
        let sector = u32::try_from(next / SECTOR).expect("blocks of 2040 GiB end below 2 TiB");
        let entry = length(index) * 4;
        table[entry..entry + 4].copy_from_slice(&sector.to_be_bytes());
        sink.write_at(next, &bitmap)?;
        write_data(sink, next + header.bitmap(), block)?;
        next += header.bitmap() + BLOCK;
        Ok(())
    };
    pipeline::run(
        feed,
        BLOCK,
        threads.get(),
        &|| Ok(Box::new(Ok)),
        &mut |job: Filled| job.blocks().try_for_each(|(index, block)| put(index, block)),
        progress,
    )?;
    sink.write_at(header.table, &table)?;
    Ok(next)
}
