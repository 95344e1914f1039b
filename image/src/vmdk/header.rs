//! The sparse extent header: the first sector of a sparse file, and again a stream's footer.

use super::{CAPACITY_LIMIT, TABLE_ENTRIES, TABLE_SECTORS};
use crate::error::{Error, Kind, Place, Result};
use crate::field::{put, u16_le, u32_le, u64_le};
use crate::source::SECTOR;

pub(super) const LENGTH: usize = 512;
/// The directory's place in a header that was written before the directory.
pub(super) const DIRECTORY_AT_END: u64 = u64::MAX;

const MAGIC: &[u8; 4] = b"KDMV";
const FLAG_NEWLINES: u32 = 1;
const FLAG_REDUNDANT: u32 = 1 << 1;
const FLAG_ZERO_GRAINS: u32 = 1 << 2;
const FLAG_COMPRESSED: u32 = 1 << 16;
const FLAG_MARKERS: u32 = 1 << 17;
/// Bytes that a transfer in text mode would change.
const NEWLINES: &[u8; 4] = b"\n \r\n";
const DEFLATE: u16 = 1;
/// Kinds of extents that have other headers, by their first bytes.
const OTHERS: [(&[u8], &str); 2] = [
    (
        b"COWD",
        "a vmfsSparse (COWD) extent, which only ESX hosts use, is not read",
    ),
    (
        &[0xbe, 0xba, 0xfe, 0xca, 0, 0, 0, 0],
        "an SESparse extent, which only ESX hosts use, is not read",
    ),
];
/// Grains of 4 KiB to 1 MiB; VMware's own are of 64 KiB.
const GRAIN_SECTORS: std::ops::RangeInclusive<u64> = 8..=2048;
/// Where grains may begin at the latest: both directories and all tables of the largest disk fit below.
const OVERHEAD_LIMIT: u64 = (32 << 30) / SECTOR;
/// The grain directory is kept in memory: 16 MiB of it.
const TABLE_LIMIT: u64 = 2 << 20;
const DESCRIPTOR_LIMIT: u64 = 128;

/// A hosted sparse extent's header. Offsets and sizes are in sectors of 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Format version: 1, 2 or 3.
    pub version: u32,
    /// Bit 0: newline bytes are valid; bit 1: redundant tables; bit 2: tables may say "zeros"; bit 16: compressed
    /// grains; bit 17: markers.
    pub flags: u32,
    /// The disk's size.
    pub capacity: u64,
    /// A grain's size, a power of two.
    pub grain_sectors: u64,
    /// Where the embedded descriptor begins; 0 without one.
    pub descriptor_offset: u64,
    /// The space kept for the descriptor.
    pub descriptor_sectors: u64,
    /// Where the redundant grain directory is, if flagged.
    pub redundant_directory: u64,
    /// Where the grain directory is; all ones in a header whose footer tells.
    pub directory: u64,
    /// What comes before the first grain.
    pub overhead: u64,
}

impl Header {
    /// A new stream's header for a disk of `capacity` sectors.
    pub(super) fn stream(capacity: u64) -> Self {
        Self {
            version: 3,
            flags: FLAG_NEWLINES | FLAG_COMPRESSED | FLAG_MARKERS,
            capacity,
            grain_sectors: 128,
            descriptor_offset: 1,
            descriptor_sectors: 20,
            redundant_directory: 0,
            directory: DIRECTORY_AT_END,
            overhead: 128,
        }
    }

    /// A new sparse file's header for a disk of `capacity` sectors: both directories, each followed by its tables,
    /// lie between descriptor and grains.
    pub(super) fn sparse(capacity: u64) -> Self {
        let mut header = Self {
            version: 1,
            flags: FLAG_NEWLINES | FLAG_REDUNDANT,
            redundant_directory: 21,
            ..Self::stream(capacity)
        };
        let metadata = header.directory_sectors() + header.tables() as u64 * TABLE_SECTORS;
        header.directory = header.redundant_directory + metadata;
        header.overhead = (header.directory + metadata).next_multiple_of(header.grain_sectors);
        header
    }

    /// Whether grains are compressed and carry markers.
    pub fn is_stream(&self) -> bool {
        self.flags & FLAG_COMPRESSED != 0
    }

    /// Where the copy of the grain directory is, if there is one.
    pub(super) fn redundant(&self) -> Option<u64> {
        (self.flags & FLAG_REDUNDANT != 0 && self.redundant_directory != 0)
            .then_some(self.redundant_directory)
    }

    /// Reads the header from an extent's first 512 bytes.
    ///
    /// # Errors
    /// [`Kind::Truncated`] for fewer bytes; [`Kind::Malformed`] for what is no VMDK extent or damaged by a text-mode
    /// transfer; [`Kind::Unsupported`] for kinds of extents that only ESX hosts use, by name; [`Kind::Ceiling`] for
    /// sizes beyond [`CAPACITY_LIMIT`] and what such a disk needs.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let block = bytes
            .get(..LENGTH)
            .ok_or_else(|| Error::new(Kind::Truncated, Place::Offset(0), "the VMDK header is cut short"))?;
        if let Some((_, reason)) = OTHERS.iter().find(|(magic, _)| block.starts_with(magic)) {
            return Err(Error::new(Kind::Unsupported, Place::Offset(0), *reason));
        }
        if &block[..4] != MAGIC {
            return Err(Error::malformed(Place::Offset(0), "no sparse VMDK extent"));
        }
        let header = Self {
            version: u32_le(block, 4),
            flags: u32_le(block, 8),
            capacity: u64_le(block, 12),
            grain_sectors: u64_le(block, 20),
            descriptor_offset: u64_le(block, 28),
            descriptor_sectors: u64_le(block, 36),
            redundant_directory: u64_le(block, 48),
            directory: u64_le(block, 56),
            overhead: u64_le(block, 64),
        };
        if header.flags & FLAG_NEWLINES != 0 && &block[73..77] != NEWLINES {
            return Err(Error::malformed(
                Place::Offset(73),
                "a text-mode transfer has changed the VMDK",
            ));
        }
        header.check(u32_le(block, 44), u16_le(block, 77))?;
        Ok(header)
    }

    /// The header's sector.
    pub fn render(&self) -> [u8; LENGTH] {
        let mut block = [0; LENGTH];
        put(&mut block, 0, MAGIC);
        put(&mut block, 4, &self.version.to_le_bytes());
        put(&mut block, 8, &self.flags.to_le_bytes());
        put(&mut block, 12, &self.capacity.to_le_bytes());
        put(&mut block, 20, &self.grain_sectors.to_le_bytes());
        put(&mut block, 28, &self.descriptor_offset.to_le_bytes());
        put(&mut block, 36, &self.descriptor_sectors.to_le_bytes());
        put(&mut block, 44, &512u32.to_le_bytes());
        put(&mut block, 48, &self.redundant_directory.to_le_bytes());
        put(&mut block, 56, &self.directory.to_le_bytes());
        put(&mut block, 64, &self.overhead.to_le_bytes());
        put(&mut block, 73, NEWLINES);
        let compression = if self.is_stream() { DEFLATE } else { 0 };
        put(&mut block, 77, &compression.to_le_bytes());
        block
    }

    /// The disk's size in bytes.
    pub fn capacity_bytes(&self) -> u64 {
        self.capacity * SECTOR
    }

    /// A grain's size in bytes.
    pub(super) fn grain_bytes(&self) -> usize {
        usize::try_from(self.grain_sectors * SECTOR).expect("a grain is at most 1 MiB")
    }

    /// How many grain tables cover the disk: the grain directory's entries.
    pub(super) fn tables(&self) -> usize {
        let tables = self
            .capacity
            .div_ceil(self.grain_sectors)
            .div_ceil(TABLE_ENTRIES as u64);
        usize::try_from(tables).expect("a disk within the ceiling has at most 2^21 tables")
    }

    /// The directory's length with its padding, in sectors.
    pub(super) fn directory_sectors(&self) -> u64 {
        (self.tables() as u64 * 4).div_ceil(SECTOR)
    }

    fn check(&self, table_entries: u32, compression: u16) -> Result<()> {
        let unsupported = |reason: &str| Err(Error::new(Kind::Unsupported, Place::Offset(0), reason));
        let ceiling = |reason: &str| Err(Error::new(Kind::Ceiling, Place::Offset(0), reason));
        if !(1..=3).contains(&self.version) {
            return unsupported("a VMDK of a version other than 1 to 3");
        }
        let stream = FLAG_COMPRESSED | FLAG_MARKERS;
        match (self.flags & stream, compression) {
            (0, 0) if self.directory == DIRECTORY_AT_END => {
                return unsupported("a VMDK without markers whose grain directory is at the end");
            }
            (0, 0) => {}
            (both, DEFLATE) if both == stream => {}
            _ => return unsupported("a VMDK that is neither plainly sparse nor stream-optimized"),
        }
        if self.flags & !(stream | FLAG_NEWLINES | FLAG_REDUNDANT | FLAG_ZERO_GRAINS) != 0 {
            return unsupported("a VMDK with unknown flags");
        }
        if table_entries != 512
            || !GRAIN_SECTORS.contains(&self.grain_sectors)
            || !self.grain_sectors.is_power_of_two()
        {
            return unsupported("a VMDK with unusual grains or grain tables");
        }
        if self.capacity == 0 || self.capacity > CAPACITY_LIMIT / SECTOR {
            return ceiling("the VMDK's capacity is none or above 64 TiB");
        }
        if self.capacity.div_ceil(self.grain_sectors * TABLE_ENTRIES as u64) > TABLE_LIMIT {
            return ceiling("the VMDK has more than 2 Mi grain tables");
        }
        let descriptor_end = self.descriptor_offset.checked_add(self.descriptor_sectors);
        if self.overhead > OVERHEAD_LIMIT
            || self.descriptor_sectors > DESCRIPTOR_LIMIT
            || descriptor_end.is_none_or(|end| end > self.overhead.max(1))
        {
            return ceiling("the VMDK's descriptor or metadata is out of its place");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_has_the_bytes_that_importers_look_for() {
        let block = Header::stream(20_480).render();
        assert_eq!(block[..12], *b"KDMV\x03\0\0\0\x01\0\x03\0");
        assert_eq!(block[56..64], [0xff; 8]);
        assert_eq!(block[72..79], *b"\0\n \r\n\x01\0");
        assert!(block[79..].iter().all(|&byte| byte == 0));
        assert_eq!(Header::parse(&block).unwrap(), Header::stream(20_480));
    }

    #[test]
    fn hostile_headers_are_refused_by_kind() {
        let refused = |change: fn(&mut Header)| {
            let mut header = Header::stream(20_480);
            change(&mut header);
            Header::parse(&header.render()).unwrap_err().kind()
        };
        assert_eq!(refused(|h| h.capacity = 0), Kind::Ceiling);
        assert_eq!(refused(|h| h.capacity = u64::MAX), Kind::Ceiling);
        assert_eq!(refused(|h| h.grain_sectors = 0), Kind::Unsupported);
        assert_eq!(refused(|h| h.grain_sectors = 1 << 40), Kind::Unsupported);
        assert_eq!(refused(|h| h.descriptor_offset = u64::MAX), Kind::Ceiling);
        assert_eq!(refused(|h| h.overhead = u64::MAX), Kind::Ceiling);
        assert_eq!(refused(|h| h.flags = 3), Kind::Unsupported);
        assert_eq!(refused(|h| h.flags = 0x1_0003), Kind::Unsupported);
        assert_eq!(refused(|h| h.flags |= 1 << 5), Kind::Unsupported);
        assert_eq!(
            refused(|h| (h.capacity, h.grain_sectors) = (CAPACITY_LIMIT / SECTOR, 8)),
            Kind::Ceiling
        );
        assert_eq!(refused(|h| h.version = 4), Kind::Unsupported);
        let mut text_mode = Header::stream(20_480).render();
        text_mode[75] = b'\n';
        assert_eq!(Header::parse(&text_mode).unwrap_err().kind(), Kind::Malformed);
    }

    #[test]
    fn a_sparse_header_keeps_the_largest_disks_tables_before_its_grains() {
        for capacity in [1, 20_480, CAPACITY_LIMIT / SECTOR] {
            let header = Header::sparse(capacity);
            assert_eq!(Header::parse(&header.render()).unwrap(), header);
            assert!(!header.is_stream() && header.overhead.is_multiple_of(128));
        }
    }

    #[test]
    fn extents_of_esx_are_refused_by_name() {
        for (magic, name) in [(&b"COWD"[..], "COWD"), (b"\xbe\xba\xfe\xca\0\0\0\0", "SESparse")] {
            let mut block = [0; LENGTH];
            block[..magic.len()].copy_from_slice(magic);
            let error = Header::parse(&block).unwrap_err();
            assert!(
                error.kind() == Kind::Unsupported && error.reason().contains(name),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(tail in proptest::collection::vec(any::<u8>(), 508)) {
            if let Ok(header) = Header::parse(&[MAGIC, tail.as_slice()].concat()) {
                let _ = (header.tables(), header.grain_bytes(), header.directory_sectors());
            }
        }
    }
}
