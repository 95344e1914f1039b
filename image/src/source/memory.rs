//! A raw disk in memory.

use std::ops::Range;

use super::{Source, check_range};
use crate::error::Result;

/// Bytes in memory as a disk without holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory(pub Vec<u8>);

impl Source for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        Ok((from < self.size()).then(|| from..self.size()))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        check_range(self.size(), offset, buffer.len())?;
        if let Some(rest) = usize::try_from(offset).ok().and_then(|start| self.0.get(start..)) {
            buffer.copy_from_slice(&rest[..buffer.len()]);
        }
        Ok(())
    }
}
