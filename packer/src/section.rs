//! A part of a file as a disk image: a package's member where it lies in the archive.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use image::error::{Error, Kind, Place, Result};
use image::source::Source;

/// Bytes of a file from an offset on.
pub struct Section {
    file: File,
    offset: u64,
    length: u64,
}

impl Section {
    /// `length` bytes of the file at `path`, from `offset`.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path, offset: u64, length: u64) -> crate::error::Result<Self> {
        let file = File::open(path).map_err(crate::error::Error::io(path, "open"))?;
        Ok(Self { file, offset, length })
    }
}

impl Source for Section {
    fn size(&self) -> u64 {
        self.length
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        Ok((from < self.length).then_some(from..self.length))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            let reason = format!(
                "{} bytes were asked for, the member ends at {}",
                buffer.len(),
                self.length
            );
            return Err(Error::new(Kind::Truncated, Place::Offset(offset), reason));
        }
        let read = self.file.read_exact_at(buffer, self.offset + offset);
        read.map_err(|error| Error::io(Place::Offset(offset), "read", error))
    }
}
