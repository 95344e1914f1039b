//! A disk in its own order, cut into jobs that several threads fill side by side.
//!
//! Whether the disk is read at random ([`Scan`]) or comes as a stream (`vmdk`'s own feed), the writers see no difference.

use std::ops::Range;

use crate::error::Result;
use crate::source::Source;

/// Bytes of the disk in a job; one of larger blocks has one of them.
pub(crate) const JOB: u64 = 512 << 10;

/// Where a writer's data comes from.
pub(crate) trait Feed<'a> {
    /// The disk's size in bytes.
    fn size(&self) -> u64;

    /// Bytes of data to come, or zero where nobody knows before: what progress is measured against.
    fn total(&self) -> Result<u64>;

    /// Bytes in memory for a job of blocks of `block` bytes, besides the job's own buffer and what that is packed to: what
    /// is stored of it, and what reading it takes.
    fn memory(&self, block: u64) -> u64;

    /// The next job, behind the one before; nothing once the disk has been given whole. Jobs begin on a boundary of
    /// `block` bytes, a power of two, and end on one or with the disk.
    fn next(&mut self, block: u64) -> Result<Option<Job<'a>>>;

    /// Called when all jobs are done: the last word on whether what they gave is to be trusted.
    fn finish(&mut self) -> Result<()>;
}

/// A stretch of the disk that may hold data.
pub(crate) struct Job<'a> {
    /// The stretch, in bytes.
    pub(crate) range: Range<u64>,
    pub(crate) fill: Fill<'a>,
}

/// Writes all bytes of a buffer of a stretch's length, on whatever thread.
pub(crate) type Fill<'a> = Box<dyn FnOnce(&mut [u8]) -> Result<()> + Send + 'a>;

/// A disk that is read at random, from its first stretch of data to its last.
pub(crate) struct Scan<'a> {
    source: &'a dyn Source,
    /// What is left of the stretch being cut.
    run: Range<u64>,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, run: 0..0 }
    }
}

impl<'a> Feed<'a> for Scan<'a> {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn total(&self) -> Result<u64> {
        self.source.data_length()
    }

    fn memory(&self, _: u64) -> u64 {
        self.source.reading_memory()
    }

    fn next(&mut self, block: u64) -> Result<Option<Job<'a>>> {
        if self.run.is_empty() {
            // Two stretches may share a block: the second begins after it.
            let Some(data) = self.source.next_data(self.run.end)? else {
                return Ok(None);
            };
            let end = data.end.next_multiple_of(block).min(self.size());
            self.run = data.start / block * block..end;
        }
        let range = self.run.start..self.run.end.min(self.run.start + JOB.max(block));
        self.run.start = range.end;
        let (source, start) = (self.source, range.start);
        Ok(Some(Job {
            range,
            fill: Box::new(move |buffer| source.read_at(start, buffer)),
        }))
    }

    fn finish(&mut self) -> Result<()> {
        self.source.settled()
    }
}
