//! Where a raw disk, or a disk format with its tables at the head, is written: bytes at offsets.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;

use crate::error::{Error, Place, Result};

/// An empty place to write to. What is never written reads as zeros: holes are made by leaving them out.
pub trait Sink {
    /// Makes the whole `size` bytes long, with zeros where nothing was written; never shorter than what was.
    ///
    /// # Errors
    /// Whatever the operating system gives.
    fn set_size(&self, size: u64) -> Result<()>;

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// Whatever the operating system gives.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;
}

impl Sink for File {
    fn set_size(&self, size: u64) -> Result<()> {
        self.set_len(size).map_err(|e| failed(size, e))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.write_all_at(bytes, offset).map_err(|e| failed(offset, e))
    }
}

/// Anything that writes and seeks, as a [`Sink`]. It has to be empty, and to fill what is skipped with zeros, as files
/// and [`std::io::Cursor`] do. Offsets count from its start.
#[derive(Debug)]
pub struct Seeking<W>(RefCell<W>);

impl<W> Seeking<W> {
    /// Takes the writer.
    pub fn new(inner: W) -> Self {
        Self(RefCell::new(inner))
    }

    /// Gives the writer back.
    pub fn into_inner(self) -> W {
        self.0.into_inner()
    }
}

impl<W: Write + Seek> Sink for Seeking<W> {
    fn set_size(&self, size: u64) -> Result<()> {
        let mut inner = self.0.borrow_mut();
        let lengthened = inner.seek(SeekFrom::End(0)).and_then(|end| {
            if end >= size {
                return Ok(());
            }
            inner.seek(SeekFrom::Start(size - 1))?;
            inner.write_all(&[0])
        });
        lengthened.map_err(|e| failed(size, e))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut inner = self.0.borrow_mut();
        inner
            .seek(SeekFrom::Start(offset))
            .and_then(|_| inner.write_all(bytes))
            .map_err(|e| failed(offset, e))
    }
}

fn failed(offset: u64, error: std::io::Error) -> Error {
    Error::io(Place::Offset(offset), "write the image", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn what_is_skipped_reads_as_zeros_and_the_size_never_shrinks() {
        let sink = Seeking::new(Cursor::new(Vec::new()));
        sink.write_at(4, b"x").unwrap();
        sink.set_size(2).unwrap();
        assert_eq!(sink.0.borrow().get_ref(), b"\0\0\0\0x");
        sink.set_size(8).unwrap();
        sink.write_at(1, b"y").unwrap();
        assert_eq!(sink.into_inner().into_inner(), b"\0y\0\0x\0\0\0");
    }
}
