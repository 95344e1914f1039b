//! The dynamic header: where a dynamic VHD's block allocation table is, and how large its blocks are.

use super::footer::{NOWHERE, checksum};
use crate::error::{Error, Kind, Place, Result};
use crate::field::{put, u32_be, u64_be};
use crate::source::SECTOR;

pub(super) const LENGTH: usize = 1024;
/// A block's size in a new disk, in bytes; others write half of it, or twice.
pub(super) const BLOCK: u64 = 2 << 20;

const COOKIE: &[u8; 8] = b"cxsparse";
const VERSION: u32 = 0x0001_0000;
const CHECKSUM_AT: usize = 36;
/// A block's bitmap is kept in memory: 64 KiB for the largest block.
const BLOCKS: std::ops::RangeInclusive<u64> = 4096..=256 << 20;
/// The table is kept in memory: 16 MiB of it.
const ENTRY_LIMIT: u64 = 4 << 20;

/// What the dynamic header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Where the block allocation table is, in bytes.
    pub(super) table: u64,
    /// The table's entries.
    pub(super) entries: u32,
    /// A block's size in bytes, a power of two.
    pub(super) block: u64,
}

impl Header {
    /// Reads the header found at byte `at`; the disk has `size` bytes.
    pub(super) fn parse(block: &[u8], at: u64, size: u64) -> Result<Self> {
        let error = |kind, reason: &str| Error::new(kind, Place::Offset(at), reason);
        if block.len() < LENGTH || &block[..8] != COOKIE {
            return Err(error(Kind::Malformed, "no VHD dynamic header"));
        }
        if u32_be(block, CHECKSUM_AT) != checksum(&block[..LENGTH], CHECKSUM_AT) {
            return Err(error(
                Kind::Checksum,
                "the VHD dynamic header does not match its checksum",
            ));
        }
        let header = Self {
            table: u64_be(block, 16),
            entries: u32_be(block, 28),
            block: u64::from(u32_be(block, 32)),
        };
        if u32_be(block, 24) >> 16 != VERSION >> 16
            || !BLOCKS.contains(&header.block)
            || !header.block.is_power_of_two()
        {
            return Err(error(
                Kind::Unsupported,
                "a VHD of another version or with unusual blocks",
            ));
        }
        if header.blocks(size) > ENTRY_LIMIT {
            return Err(error(Kind::Ceiling, "the VHD has more than 4 Mi blocks"));
        }
        if u64::from(header.entries) < header.blocks(size) {
            return Err(error(
                Kind::Malformed,
                "the VHD's table is too short for its size",
            ));
        }
        Ok(header)
    }

    /// The header of a new disk of `size` bytes, whose table follows it.
    pub(super) fn new(at: u64, size: u64) -> Self {
        let header = Self {
            table: at + LENGTH as u64,
            entries: 0,
            block: BLOCK,
        };
        let entries =
            u32::try_from(header.blocks(size)).expect("a disk within the ceiling has a million blocks");
        Self { entries, ..header }
    }

    pub(super) fn render(&self) -> [u8; LENGTH] {
        let mut block = [0; LENGTH];
        put(&mut block, 0, COOKIE);
        put(&mut block, 8, &NOWHERE.to_be_bytes());
        put(&mut block, 16, &self.table.to_be_bytes());
        put(&mut block, 24, &VERSION.to_be_bytes());
        put(&mut block, 28, &self.entries.to_be_bytes());
        let size = u32::try_from(self.block).expect("a block is at most 256 MiB");
        put(&mut block, 32, &size.to_be_bytes());
        let sum = checksum(&block, CHECKSUM_AT);
        put(&mut block, CHECKSUM_AT, &sum.to_be_bytes());
        block
    }

    /// How many blocks a disk of `size` bytes has.
    pub(super) fn blocks(&self, size: u64) -> u64 {
        size.div_ceil(self.block)
    }

    /// The length of the bitmap before each block, in bytes.
    pub(super) fn bitmap(&self) -> u64 {
        (self.block / SECTOR / 8).next_multiple_of(SECTOR)
    }

    /// The table's length in bytes, with its padding.
    pub(super) fn table_length(&self) -> u64 {
        (u64::from(self.entries) * 4).next_multiple_of(SECTOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1 << 30;

    fn changed(at: usize, bytes: &[u8]) -> Kind {
        let mut block = Header::new(512, SIZE).render();
        put(&mut block, at, bytes);
        let sum = checksum(&block, CHECKSUM_AT);
        put(&mut block, CHECKSUM_AT, &sum.to_be_bytes());
        Header::parse(&block, 512, SIZE).unwrap_err().kind()
    }

    #[test]
    fn what_is_written_is_read() {
        let header = Header::new(512, SIZE);
        assert_eq!(Header::parse(&header.render(), 512, SIZE).unwrap(), header);
        assert_eq!(
            (header.entries, header.bitmap(), header.table_length()),
            (512, 512, 2048)
        );
    }

    #[test]
    fn hostile_headers_are_refused_by_kind() {
        assert_eq!(changed(0, b"x"), Kind::Malformed);
        assert_eq!(changed(28, &511u32.to_be_bytes()), Kind::Malformed);
        for block in [0u32, 3 << 20, 512, 1 << 30, u32::MAX] {
            assert_eq!(changed(32, &block.to_be_bytes()), Kind::Unsupported, "{block}");
        }
        let mut block = Header::new(512, SIZE).render();
        block[1000] = 1;
        assert_eq!(
            Header::parse(&block, 512, SIZE).unwrap_err().kind(),
            Kind::Checksum
        );
        assert_eq!(
            Header::parse(&block[..9], 512, SIZE).unwrap_err().kind(),
            Kind::Malformed
        );
    }
}
