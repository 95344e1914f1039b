//! Tables of 64-bit numbers inside a disk image, read by slices as they are needed: no table is held whole.

use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::cache::Cache;
use crate::error::{Error, Kind, Place, Result};
use crate::source::Source;

/// Numbers in a slice: 64 KiB of the image.
const SLICE: u64 = 8192;
/// Slices kept: 4 MiB.
const KEPT: usize = 64;

/// The tables of one image.
pub(crate) struct Tables {
    slices: Cache<(u64, u64), Box<[u64]>>,
    decode: fn([u8; 8]) -> u64,
}

/// Numbers of a table, from the one asked for to the end of its slice.
pub(crate) struct Numbers {
    slice: Arc<Box<[u64]>>,
    within: Range<usize>,
}

impl Deref for Numbers {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.slice[self.within.clone()]
    }
}

impl Tables {
    /// Tables whose numbers `decode` reads, such as [`u64::from_be_bytes`].
    pub(crate) fn new(decode: fn([u8; 8]) -> u64) -> Self {
        let slices = Cache::new(KEPT);
        Self { slices, decode }
    }

    /// Numbers of the table of `count` numbers at byte `table` of `file`, from number `first` on: at least one.
    pub(crate) fn numbers(&self, file: &dyn Source, table: u64, count: u64, first: u64) -> Result<Numbers> {
        let outside = || {
            let reason = "a table lies outside the image or is shorter than the disk needs";
            Error::new(Kind::Truncated, Place::Offset(table), reason)
        };
        let start = first - first % SLICE;
        let length = count.saturating_sub(start).min(SLICE);
        let at = start.checked_mul(8).and_then(|skip| table.checked_add(skip));
        let at = at.filter(|_| first < count).ok_or_else(outside)?;
        if at.checked_add(length * 8).is_none_or(|end| end > file.size()) {
            return Err(outside());
        }
        let slice = self
            .slices
            .get((at, length), || read(file, at, length, self.decode))?;
        let within = usize::try_from(first - start).unwrap_or(usize::MAX)..slice.len();
        Ok(Numbers { slice, within })
    }
}

/// `length` numbers, at most a slice.
fn read(file: &dyn Source, at: u64, length: u64, decode: fn([u8; 8]) -> u64) -> Result<Box<[u64]>> {
    let mut bytes = vec![0; usize::try_from(length * 8).unwrap_or(0)];
    file.read_at(at, &mut bytes)?;
    let (numbers, _) = bytes.as_chunks();
    Ok(numbers.iter().map(|&number| decode(number)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Memory;

    #[test]
    fn a_table_is_read_by_slices_and_never_past_its_end() {
        let bytes: Vec<u8> = (0..9000u64).flat_map(u64::to_be_bytes).collect();
        let file = Memory(bytes);
        let tables = Tables::new(u64::from_be_bytes);
        assert_eq!(tables.numbers(&file, 0, 9000, 8190).unwrap()[..], [8190, 8191]);
        assert_eq!(tables.numbers(&file, 8, 8998, 8997).unwrap()[..], [8998]);
        for (table, count, first) in [
            (0, 9001, 8999),
            (0, 10, 10),
            (u64::MAX, 1, 0),
            (8, u64::MAX, u64::MAX - 1),
        ] {
            let error = tables.numbers(&file, table, count, first).err().unwrap();
            assert_eq!(error.kind(), Kind::Truncated);
        }
    }
}
