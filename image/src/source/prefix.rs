//! The beginning of a disk: what was put into one that has to be of whole sectors, without what fills it up.

use std::ops::Range;

use super::Source;
use crate::error::{Error, Kind, Place, Result};

/// The first bytes of a disk.
pub struct Prefix<'a> {
    disk: &'a dyn Source,
    size: u64,
}

impl<'a> Prefix<'a> {
    /// Takes so many bytes.
    ///
    /// # Errors
    /// [`Kind::Truncated`] if the disk is shorter.
    pub fn new(disk: &'a dyn Source, size: u64) -> Result<Self> {
        if size > disk.size() {
            let reason = format!("{size} bytes are wanted of {}", disk.size());
            return Err(Error::new(Kind::Truncated, Place::Whole, reason));
        }
        Ok(Self { disk, size })
    }
}

impl Source for Prefix<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        let data = self.disk.next_data(from)?;
        Ok(data
            .filter(|data| data.start < self.size)
            .map(|data| data.start..data.end.min(self.size)))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            let reason = format!("{} bytes past the end at {}", buffer.len(), self.size);
            return Err(Error::new(Kind::Truncated, Place::Offset(offset), reason));
        }
        self.disk.read_at(offset, buffer)
    }

    fn reading_memory(&self) -> u64 {
        self.disk.reading_memory()
    }

    fn settled(&self) -> Result<()> {
        self.disk.settled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Composed;

    #[test]
    fn what_lies_behind_the_prefix_is_not_there() {
        let mut disk = Composed::new(1024);
        disk.put(0, vec![1; 600]).unwrap();
        assert_eq!(Prefix::new(&disk, 1025).err().unwrap().kind(), Kind::Truncated);
        let prefix = Prefix::new(&disk, 500).unwrap();
        assert_eq!(prefix.next_data(100).unwrap(), Some(100..500));
        assert_eq!(prefix.next_data(500).unwrap(), None);
        let mut bytes = [0; 500];
        prefix.read_at(0, &mut bytes).unwrap();
        assert_eq!(bytes, [1; 500]);
        assert_eq!(prefix.read_at(1, &mut bytes).unwrap_err().kind(), Kind::Truncated);
    }
}
