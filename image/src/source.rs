//! What a raw disk is to the writers of this crate: a size, the stretches that hold data, and bytes at an offset.

mod composed;
mod file;
mod memory;

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::ops::Range;

pub use composed::Composed;
pub use file::RawFile;
pub use memory::Memory;

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

/// Writes `source` as a raw image into `file`, an empty file, leaving its holes as holes.
///
/// # Errors
/// Whatever reading and writing give.
pub fn write_raw(source: &dyn Source, file: &mut File) -> Result<()> {
    let failed = |offset, e| Error::io(Place::Offset(offset), "write the raw image", e);
    file.set_len(source.size())
        .map_err(|e| failed(source.size(), e))?;
    let mut buffer = vec![0; 1 << 20];
    let mut from = 0;
    while let Some(data) = source.next_data(from)? {
        let mut at = data.start;
        while at < data.end {
            let piece = piece(&mut buffer, data.end - at);
            source.read_at(at, piece)?;
            file.seek(SeekFrom::Start(at))
                .and_then(|_| file.write_all(piece))
                .map_err(|e| failed(at, e))?;
            at += piece.len() as u64;
        }
        from = data.end;
    }
    Ok(())
}

/// Whether a block holds nothing but zeros.
pub(crate) fn is_zero(block: &[u8]) -> bool {
    // Whole cache lines without a branch inside: the compiler makes vectors of them.
    let mut lines = block.chunks_exact(256);
    lines.all(|line| line.iter().fold(0, |all, byte| all | byte) == 0)
        && lines.remainder().iter().all(|&byte| byte == 0)
}

/// The head of `buffer`, no longer than `left` bytes.
fn piece(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
    &mut buffer[..length]
}

/// Refuses a read that reaches past the end.
fn check_range(size: u64, offset: u64, length: usize) -> Result<()> {
    match offset.checked_add(length as u64) {
        Some(end) if end <= size => Ok(()),
        _ => Err(Error::new(
            Kind::Truncated,
            Place::Offset(offset),
            format!("{length} bytes were asked for, the disk ends at {size}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_copy_equals_its_source_and_keeps_holes() {
        let mut disk = Composed::new(64 << 20);
        disk.put(0, vec![1; 5000]).unwrap();
        disk.put((64 << 20) - 3, vec![2; 3]).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        write_raw(&disk, &mut file).unwrap();
        let copy = RawFile::new(file).unwrap();
        assert_eq!(copy.size(), 64 << 20);
        let (mut head, mut tail) = ([0; 5001], [9; 4]);
        copy.read_at(0, &mut head).unwrap();
        copy.read_at((64 << 20) - 4, &mut tail).unwrap();
        assert!(head[..5000] == [1; 5000] && head[5000] == 0 && tail == [0, 2, 2, 2]);
        assert!(copy.data_length().unwrap() < 1 << 20);
    }

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
