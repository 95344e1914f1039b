//! What a raw disk is to this crate: a size, the stretches that hold data, and bytes at an offset.
//!
//! Readers of disk formats are [`Source`]s; [`write_raw`] copies any of them to a [`Sink`], holes left out.

mod composed;
mod copy;
mod eager;
mod file;
mod memory;
mod prefix;
mod sink;

use std::ops::Range;

pub use composed::Composed;
pub(crate) use copy::{write_data, write_raw_feed, write_stretches};
pub use copy::{write_raw, write_raw_telling};
pub use eager::EagerFile;
pub use file::RawFile;
pub use memory::Memory;
pub use prefix::Prefix;
pub use sink::{Seeking, Sink};

use crate::error::{Error, Kind, Place, Result};

/// The unit in which disks are sized and addressed, in bytes.
pub const SECTOR: u64 = 512;

/// A raw disk that can be read from several threads at once.
pub trait Source: Send + Sync {
    /// The virtual size in bytes.
    fn size(&self) -> u64;

    /// The first stretch at or after `from` that may hold anything but zeros, as byte offsets; nothing if all that
    /// follows is a hole. The stretch is not empty, begins at `from` or later, and ends within the size.
    ///
    /// # Errors
    /// Whatever the operating system gives.
    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>>;

    /// Fills `buffer` with the bytes from `offset`; holes read as zeros.
    ///
    /// # Errors
    /// [`Kind::Truncated`] if that reaches past the size, and whatever the operating system gives.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Bytes that a thread may need to read a part, besides the buffer: where what is compressed is larger than what is asked
    /// for.
    fn reading_memory(&self) -> u64 {
        0
    }

    /// Whether all that was read is of one state: nobody has changed the disk since it was opened, as far as can be told.
    ///
    /// # Errors
    /// [`Kind::Changed`] if somebody has.
    fn settled(&self) -> Result<()> {
        Ok(())
    }

    /// How many bytes lie in data stretches: what progress is measured against.
    ///
    /// # Errors
    /// As [`Source::next_data`].
    fn data_length(&self) -> Result<u64> {
        let (mut total, mut from) = (0, 0);
        while let Some(data) = self.next_data(from)? {
            total += data.end - data.start;
            from = data.end;
        }
        Ok(total)
    }
}

/// How far a disk is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the source's data done.
    pub done: u64,
    /// Bytes of the source's data in all, holes not counted. Both are zero where the source doesn't tell before its end.
    pub total: u64,
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        (**self).next_data(from)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        (**self).read_at(offset, buffer)
    }

    fn reading_memory(&self) -> u64 {
        (**self).reading_memory()
    }

    fn settled(&self) -> Result<()> {
        (**self).settled()
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        (**self).next_data(from)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        (**self).read_at(offset, buffer)
    }

    fn reading_memory(&self) -> u64 {
        (**self).reading_memory()
    }

    fn settled(&self) -> Result<()> {
        (**self).settled()
    }
}

/// `length` bytes of `file`; nothing is set aside for what the file cannot hold.
pub(crate) fn read(file: &(impl Source + ?Sized), at: u64, length: usize) -> Result<Vec<u8>> {
    check_range(file.size(), at, length)?;
    let mut bytes = vec![0; length];
    file.read_at(at, &mut bytes)?;
    Ok(bytes)
}

/// A number as a length in memory; one that does not fit fails where it is used.
pub(crate) fn length(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// Whether a block holds nothing but zeros.
pub(crate) fn is_zero(block: &[u8]) -> bool {
    // Whole cache lines without a branch inside: the compiler makes vectors of them.
    let mut lines = block.chunks_exact(256);
    lines.all(|line| line.iter().fold(0, |all, byte| all | byte) == 0)
        && lines.remainder().iter().all(|&byte| byte == 0)
}

/// Refuses a read that reaches past the end.
pub(crate) fn check_range(size: u64, offset: u64, length: usize) -> Result<()> {
    match offset.checked_add(length as u64) {
        Some(end) if end <= size => Ok(()),
        _ => Err(Error::new(
            Kind::Truncated,
            Place::Offset(offset),
            format!("{length} bytes were asked for, the end is at {size}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_blocks_are_told_from_nearly_zero_ones() {
        let mut block = vec![0; 70_001];
        assert!(is_zero(&block) && is_zero(&[]));
        for at in [0, 255, 256, 65_536, 70_000] {
            block[at] = 1;
            assert!(!is_zero(&block), "{at}");
            block[at] = 0;
        }
    }
}
