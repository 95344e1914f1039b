//! A part of a file as a disk image: a package's member where it lies in the archive.

use std::ops::Range;

use image::error::{Error, Kind, Place, Result};
use image::source::{RawFile, Source};

/// Bytes of a file from an offset on.
#[derive(Debug)]
pub struct Section {
    file: RawFile,
    offset: u64,
    length: u64,
}

impl Section {
    /// `length` bytes of `file`, from `offset`.
    ///
    /// # Errors
    /// The file is shorter.
    pub fn new(file: RawFile, offset: u64, length: u64) -> Result<Self> {
        if offset.checked_add(length).is_none_or(|end| end > file.size()) {
            let reason = "the archive is shorter than its headers say";
            return Err(Error::new(Kind::Truncated, Place::Whole, reason));
        }
        Ok(Self { file, offset, length })
    }
}

impl Source for Section {
    fn size(&self) -> u64 {
        self.length
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        let end = self.offset + self.length;
        let from = self.offset.saturating_add(from);
        let data = self.file.next_data(from)?.filter(|data| data.start < end);
        Ok(data.map(|data| data.start - self.offset..data.end.min(end) - self.offset))
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
        self.file.read_at(self.offset + offset, buffer)
    }

    fn settled(&self) -> Result<()> {
        self.file.settled()
    }
}
