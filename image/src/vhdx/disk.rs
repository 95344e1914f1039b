//! A VHDX file read at random, as a raw disk.

use std::ops::Range;

use super::Metadata;
use super::bat::Block;
use super::layout::Layout;
use crate::error::{Error, Kind, Place, Result};
use crate::source::Source;

/// The raw disk inside a VHDX. Its table is read by slices, as they are needed; those that are kept take 4 MiB at most.
pub struct Disk<S> {
    file: S,
    layout: Layout,
}

impl<S: Source> Disk<S> {
    /// Reads header, region table and metadata of the VHDX whose bytes `file` gives.
    ///
    /// # Errors
    /// As [`Header::read`](super::Header::read); [`Kind::Unsupported`] for a log that was not replayed, a differencing
    /// disk, and required parts of unknown meaning; [`Kind::Checksum`] where both region tables are damaged;
    /// [`Kind::Overlap`] and [`Kind::Truncated`] for regions over each other or outside the file; [`Kind::Malformed`] for
    /// metadata that break the format's rules or a BAT shorter than the disk needs; [`Kind::Ceiling`] above
    /// `capacity_limit` bytes.
    pub fn open(file: S, capacity_limit: u64) -> Result<Self> {
        let layout = Layout::read(&file, capacity_limit)?;
        Ok(Self { file, layout })
    }

    /// What the metadata say.
    pub fn metadata(&self) -> &Metadata {
        &self.layout.metadata
    }

    /// The data in a block's `within`, less the holes of the file: fixed disks are mostly those.
    fn data(&self, block: u64, at: u64, within: Range<u64>) -> Result<Option<Range<u64>>> {
        let base = block * self.layout.metadata.block;
        let (from, to) = (at + (within.start - base), at + (within.end - base));
        // What the file has lost is no hole: reading it fails.
        if to > self.file.size() {
            return Ok(Some(within));
        }
        let data = self.file.next_data(from)?.filter(|data| data.start < to);
        Ok(data.map(|data| base + (data.start.max(from) - at)..base + (data.end.min(to) - at)))
    }
}

impl<S: Source> Source for Disk<S> {
    fn size(&self) -> u64 {
        self.layout.metadata.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        let length = self.layout.metadata.block;
        let mut at = from;
        while at < self.size() {
            let block = at / length;
            let end = ((block + 1) * length).min(self.size());
            if let Block::Present(place) = self.layout.block(&self.file, block)?
                && let Some(data) = self.data(block, place, at..end)?
            {
                return Ok(Some(data));
            }
            at = end;
        }
        Ok(None)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size()) {
            return Err(Error::new(
                Kind::Truncated,
                Place::Offset(offset),
                "past the VHDX's capacity",
            ));
        }
        let length = self.layout.metadata.block;
        let (mut at, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let left = usize::try_from(length - at % length).unwrap_or(usize::MAX);
            let (target, after) = rest.split_at_mut(left.min(rest.len()));
            match self.layout.block(&self.file, at / length)? {
                Block::Present(place) => self.file.read_at(place + at % length, target)?,
                Block::Absent => target.fill(0),
            }
            at += target.len() as u64;
            rest = after;
        }
        Ok(())
    }

    fn settled(&self) -> Result<()> {
        self.file.settled()
    }
}
