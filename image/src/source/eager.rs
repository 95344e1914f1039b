//! A new file whose bytes go to the disk while it is written, so that there is little left to wait for at its end.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{Advice, fadvise};

use super::Sink;
use crate::error::{Error, Place, Result};

/// Bytes given to the system at a time. It keeps what comes in longer pieces in larger pages, for which the memory of a
/// virtual machine has to be made first: that took twice as long.
const PIECE: usize = 64 << 10;
/// Bytes that are sent on together.
const WINDOW: u64 = 16 << 20;

/// A file that is written mostly front to back, and then synced.
#[derive(Debug)]
pub struct EagerFile<'a> {
    file: &'a File,
    position: u64,
}

impl<'a> EagerFile<'a> {
    /// Writes to `file` from its start.
    pub fn new(file: &'a File) -> Self {
        Self { file, position: 0 }
    }

    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        for (at, piece) in (offset..).step_by(PIECE).zip(bytes.chunks(PIECE)) {
            self.file.write_all_at(piece, at)?;
            let window = (at + piece.len() as u64) / WINDOW;
            if at / WINDOW < window {
                // Pages that were just written are not dropped by this, but begin their way. Not all systems heed it.
                let _ = fadvise(
                    self.file,
                    (window - 1) * WINDOW,
                    NonZeroU64::new(WINDOW),
                    Advice::DontNeed,
                );
            }
        }
        Ok(())
    }
}

impl Sink for EagerFile<'_> {
    fn set_size(&self, size: u64) -> Result<()> {
        self.file.set_size(size)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.put(offset, bytes)
            .map_err(|e| Error::io(Place::Offset(offset), "write the image", e))
    }
}

impl Write for EagerFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(self.position, bytes)?;
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for EagerFile<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.position = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_is_written_across_windows_is_all_there() {
        let mut file = tempfile::tempfile().unwrap();
        let mut eager = EagerFile::new(&file);
        let bytes: Vec<u8> = (0u32..9 << 20).flat_map(u32::to_le_bytes).collect();
        eager.write_all(&bytes).unwrap();
        eager.seek(SeekFrom::Start(WINDOW - 2)).unwrap();
        eager.write_all(b"four").unwrap();
        eager.write_at(1, b"x").unwrap();
        assert_eq!(eager.seek(SeekFrom::End(-1)).unwrap(), bytes.len() as u64 - 1);
        let mut expected = bytes;
        let window = usize::try_from(WINDOW).unwrap();
        expected[window - 2..window + 2].copy_from_slice(b"four");
        expected[1] = b'x';
        let mut found = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut found).unwrap();
        assert!(found == expected);
    }
}
