//! A disk put together from pieces in memory: bytes at offsets, holes between them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Source, check_range};
use crate::error::{Error, Kind, Place, Result};

/// A disk of a given size with bytes at some offsets and zeros everywhere else; it takes the memory of its bytes only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    size: u64,
    /// By offset; no two overlap, none is empty, all end within the size.
    pieces: BTreeMap<u64, Vec<u8>>,
}

impl Composed {
    /// A disk of `size` bytes, all zeros.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            pieces: BTreeMap::new(),
        }
    }

    /// Places `bytes` at `offset`.
    ///
    /// # Errors
    /// [`Kind::Capacity`] past the disk's end, [`Kind::Overlap`] over bytes that were placed before.
    pub fn put(&mut self, offset: u64, bytes: Vec<u8>) -> Result<()> {
        let length = bytes.len() as u64;
        let end = offset
            .checked_add(length)
            .filter(|&end| end <= self.size)
            .ok_or_else(|| {
                let reason = format!("{length} bytes do not fit a disk of {}", self.size);
                Error::new(Kind::Capacity, Place::Offset(offset), reason)
            })?;
        let before = self.pieces.range(..end).next_back();
        if before.is_some_and(|(at, piece)| at + piece.len() as u64 > offset && length > 0) {
            return Err(Error::new(
                Kind::Overlap,
                Place::Offset(offset),
                "bytes are placed there already",
            ));
        }
        if length > 0 {
            self.pieces.insert(offset, bytes);
        }
        Ok(())
    }

    /// Places all pieces of another disk, such as a partition's content, at `offset`.
    ///
    /// # Errors
    /// As [`Composed::put`]; the other disk has to fit as a whole, its holes included.
    pub fn embed(&mut self, offset: u64, other: Self) -> Result<()> {
        if offset.checked_add(other.size).is_none_or(|end| end > self.size) {
            let reason = format!(
                "an image of {} bytes does not fit a disk of {}",
                other.size, self.size
            );
            return Err(Error::new(Kind::Capacity, Place::Offset(offset), reason));
        }
        other
            .pieces
            .into_iter()
            .try_for_each(|(at, bytes)| self.put(offset + at, bytes))
    }

    /// The placed bytes by offset.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pieces.iter().map(|(&at, bytes)| (at, bytes.as_slice()))
    }
}

impl Source for Composed {
    fn size(&self) -> u64 {
        self.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        let range = |(at, bytes): (u64, &[u8])| at..at + bytes.len() as u64;
        let piece = |found: (&u64, &Vec<u8>)| range((*found.0, found.1.as_slice()));
        let around = self
            .pieces
            .range(..from)
            .next_back()
            .map(piece)
            .filter(|data| data.end > from);
        Ok(match around {
            Some(data) => Some(from..data.end),
            None => self.pieces.range(from..).next().map(piece),
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        check_range(self.size, offset, buffer.len())?;
        buffer.fill(0);
        let end = offset + buffer.len() as u64;
        // Pieces do not overlap: going down from the end, the first one that ends before `offset` is the last to look at.
        for (&at, bytes) in self.pieces.range(..end).rev() {
            let piece_end = at + bytes.len() as u64;
            if piece_end <= offset {
                break;
            }
            let (from, to) = (at.max(offset), piece_end.min(end));
            let within = |position: u64, base: u64| usize::try_from(position - base).unwrap_or(usize::MAX);
            let target = &mut buffer[within(from, offset)..within(to, offset)];
            target.copy_from_slice(&bytes[within(from, at)..within(to, at)]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn overlaps_and_overhangs_are_refused() {
        let mut disk = Composed::new(100);
        disk.put(10, vec![1; 10]).unwrap();
        for (at, length) in [(10, 1), (0, 11), (19, 5), (12, 2), (5, 50)] {
            assert_eq!(
                disk.put(at, vec![2; length]).unwrap_err().kind(),
                Kind::Overlap,
                "{at} {length}"
            );
        }
        assert_eq!(disk.put(95, vec![2; 6]).unwrap_err().kind(), Kind::Capacity);
        assert_eq!(disk.put(u64::MAX, vec![2; 6]).unwrap_err().kind(), Kind::Capacity);
        assert_eq!(
            disk.embed(50, Composed::new(51)).unwrap_err().kind(),
            Kind::Capacity
        );
        disk.put(20, vec![3; 80]).unwrap();
        disk.put(0, vec![3; 10]).unwrap();
    }

    proptest! {
        #[test]
        fn reads_and_extents_agree_with_a_plain_buffer(
            pieces in proptest::collection::vec((0usize..2000, 1usize..300), 0..12),
            offset in 0usize..2000, length in 0usize..1500,
        ) {
            let mut plain = vec![0u8; 3500];
            let mut disk = Composed::new(3500);
            for (n, (at, length)) in (1u8..).zip(pieces) {
                if disk.put(at as u64, vec![n; length]).is_ok() {
                    plain[at..at + length].fill(n);
                }
            }
            let mut read = vec![9; length];
            disk.read_at(offset as u64, &mut read).unwrap();
            prop_assert_eq!(&read, &plain[offset..offset + length]);
            let mut covered = vec![false; 3500];
            let mut from = offset as u64;
            while let Some(data) = disk.next_data(from).unwrap() {
                prop_assert!(data.start >= from && data.end > data.start);
                covered[usize::try_from(data.start).unwrap()..usize::try_from(data.end).unwrap()].fill(true);
                from = data.end;
            }
            for at in offset..3500 {
                prop_assert_eq!(covered[at], plain[at] != 0);
            }
        }
    }
}
