//! The header: the first cluster of the file.

use super::CAPACITY_LIMIT;
use super::extension::Extensions;
use crate::error::{Error, Kind, Place, Result};
use crate::field::{put, u32_be, u64_be};
use crate::source::Source;

pub(super) const MAGIC: &[u8; 4] = b"QFI\xfb";
/// A header that ends after the compression type and its padding.
pub(super) const LENGTH: usize = 112;

const LENGTH_2: usize = 72;
const LENGTH_3: usize = 104;
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
/// In the autoclear features: places in the data file are those on the disk.
const RAW_DATA: u64 = 1 << 1;

/// QEMU's own ceiling.
const L1_LIMIT: u64 = 32 << 20;
/// QEMU's own ceiling.
const REFCOUNT_LIMIT: u64 = 8 << 20;
const NAME_LIMIT: u32 = 1023;
/// How much of the first cluster is looked at for extensions and the backing file's name.
const HEAD_LIMIT: u64 = 64 << 10;

/// How compressed clusters are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Raw deflate (RFC 1951); called `zlib` by QEMU.
    Zlib,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Compression {
    /// QEMU's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        }
    }
}

/// What a header says about the disk beneath.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backing {
    /// The file's name as it stands there: a path, often relative to the image's folder, or some protocol's address.
    pub name: String,
    /// Its format's name, where that is given.
    pub format: Option<String>,
}

/// A header. Offsets and sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Format version: 2 or 3 (`compat` 0.10 or 1.1 in QEMU's words).
    pub version: u32,
    /// A cluster's size as a power of two: 9 to 21.
    pub cluster_bits: u32,
    /// The disk's size.
    pub size: u64,
    /// Entries of the active L1 table.
    pub l1_entries: u32,
    /// Where the active L1 table is.
    pub l1_offset: u64,
    /// Where the refcount table is.
    pub refcount_offset: u64,
    /// The refcount table's size in clusters.
    pub refcount_clusters: u32,
    /// A refcount's width as a power of two of bits: 0 to 6.
    pub refcount_order: u32,
    /// Snapshots inside the file; they are not read.
    pub snapshots: u32,
    /// The file was not closed in order: its refcounts may be wrong. The disk reads well.
    pub dirty: bool,
    /// Entries of L2 tables are of 16 bytes and know 32 parts of each cluster.
    pub extended: bool,
    /// How compressed clusters are compressed.
    pub compression: Compression,
    /// The disk beneath.
    pub backing: Option<Backing>,
    /// The file that holds the data, where that is not this one; its name, where that is given.
    pub data_file: Option<Option<String>>,
    /// The data file is a raw image of the disk.
    pub raw_data: bool,
    /// There are persistent bitmaps; they are not read.
    pub bitmaps: bool,
}

impl Header {
    /// Reads the header and its extensions from the file's first cluster.
    ///
    /// # Errors
    /// [`Kind::Truncated`] for fewer bytes; [`Kind::Malformed`] for what is no QCOW2 or contradicts itself;
    /// [`Kind::Unsupported`] for version 1, encryption, unknown features, and images marked as corrupt;
    /// [`Kind::Ceiling`] for tables beyond QEMU's limits or a disk beyond [`CAPACITY_LIMIT`].
    pub fn read(file: &dyn Source) -> Result<Self> {
        let length = usize::try_from(file.size().min(HEAD_LIMIT)).unwrap_or(0);
        let mut head = vec![0; length];
        file.read_at(0, &mut head)?;
        Self::parse(&head)
    }

    /// Reads the header from the file's first bytes: 64 KiB, or all there are.
    fn parse(head: &[u8]) -> Result<Self> {
        let cut = || Error::new(Kind::Truncated, Place::Offset(0), "the QCOW2 header is cut short");
        if head.get(..4).ok_or_else(cut)? != MAGIC {
            return Err(Error::malformed(Place::Offset(0), "no QCOW2 image"));
        }
        let fixed = head.get(..LENGTH_2).ok_or_else(cut)?;
        let version = u32_be(fixed, 4);
        let length = match version {
            2 => LENGTH_2,
            3 => LENGTH_3,
            other => return Err(unsupported(4, format!("a QCOW image of version {other}"))),
        };
        let mut fields = head.get(..length).ok_or_else(cut)?.to_vec();
        fields.resize(LENGTH, 0);
        let header_length = if version == 3 { u32_be(&fields, 100) } else { 72 };
        if version == 3 {
            if header_length < 104 || !header_length.is_multiple_of(8) {
                return Err(Error::malformed(
                    Place::Offset(100),
                    "a QCOW2 header of no legal length",
                ));
            }
            if header_length >= 112 {
                fields[LENGTH_3..].copy_from_slice(head.get(LENGTH_3..LENGTH).ok_or_else(cut)?);
            }
        }
        let mut header = Self::fields(&fields)?;
        header.check(&fields)?;
        header.extensions(head, header_length, &fields)?;
        Ok(header)
    }

    fn fields(fields: &[u8]) -> Result<Self> {
        let version = u32_be(fields, 4);
        let incompatible = if version == 3 { u64_be(fields, 72) } else { 0 };
        let compression = match (incompatible & COMPRESSION_TYPE != 0, fields[104]) {
            (false, 0) => Compression::Zlib,
            (true, 1) => Compression::Zstd,
            (true, 0) | (false, _) => {
                let reason = "the QCOW2's compression type and its feature bit disagree";
                return Err(Error::malformed(Place::Offset(104), reason));
            }
            (true, other) => return Err(unsupported(104, format!("QCOW2 compression of type {other}"))),
        };
        let raw_data = version == 3 && u64_be(fields, 88) & RAW_DATA != 0;
        Ok(Self {
            version,
            cluster_bits: u32_be(fields, 20),
            size: u64_be(fields, 24),
            l1_entries: u32_be(fields, 36),
            l1_offset: u64_be(fields, 40),
            refcount_offset: u64_be(fields, 48),
            refcount_clusters: u32_be(fields, 56),
            refcount_order: if version == 3 { u32_be(fields, 96) } else { 4 },
            snapshots: u32_be(fields, 60),
            dirty: incompatible & DIRTY != 0,
            extended: incompatible & EXTENDED_L2 != 0,
            compression,
            backing: None,
            data_file: (incompatible & EXTERNAL_DATA != 0).then_some(None),
            raw_data: raw_data && incompatible & EXTERNAL_DATA != 0,
            bitmaps: false,
        })
    }

    fn check(&self, fields: &[u8]) -> Result<()> {
        let incompatible = if self.version == 3 { u64_be(fields, 72) } else { 0 };
        let known = DIRTY | CORRUPT | EXTERNAL_DATA | COMPRESSION_TYPE | EXTENDED_L2;
        if incompatible & CORRUPT != 0 {
            return Err(unsupported(72, "a QCOW2 image that is marked as corrupt"));
        }
        if incompatible & !known != 0 {
            let bit = (incompatible & !known).trailing_zeros();
            return Err(unsupported(
                72,
                format!("a QCOW2 image with the unknown feature {bit}"),
            ));
        }
        match u32_be(fields, 32) {
            0 => {}
            1 => return Err(unsupported(32, "a QCOW2 image encrypted with AES")),
            2 => return Err(unsupported(32, "a QCOW2 image encrypted with LUKS")),
            other => return Err(unsupported(32, format!("a QCOW2 image with encryption {other}"))),
        }
        let least = if self.extended { 14 } else { 9 };
        if !(least..=21).contains(&self.cluster_bits) {
            let bits = self.cluster_bits;
            return Err(unsupported(20, format!("QCOW2 clusters of 2^{bits} bytes")));
        }
        if self.refcount_order > 6 {
            return Err(Error::malformed(
                Place::Offset(96),
                "QCOW2 refcounts wider than 64 bits",
            ));
        }
        self.check_tables()
    }

    fn check_tables(&self) -> Result<()> {
        let ceiling = |at, reason: &str| Err(Error::new(Kind::Ceiling, Place::Offset(at), reason));
        if self.size > CAPACITY_LIMIT {
            return ceiling(24, "the QCOW2's disk is above 64 TiB");
        }
        if u64::from(self.l1_entries) * 8 > L1_LIMIT {
            return ceiling(36, "the QCOW2's L1 table is above 32 MiB");
        }
        if self.refcount_clusters == 0 {
            let reason = "the QCOW2 has no refcount table";
            return Err(Error::malformed(Place::Offset(56), reason));
        }
        if u64::from(self.refcount_clusters) << self.cluster_bits > REFCOUNT_LIMIT {
            return ceiling(56, "the QCOW2's refcount table is above 8 MiB");
        }
        if u64::from(self.l1_entries) < self.size.div_ceil(self.coverage()) {
            return Err(Error::malformed(
                Place::Offset(36),
                "the QCOW2's L1 table is shorter than its disk needs",
            ));
        }
        if !(self.l1_offset | self.refcount_offset).is_multiple_of(self.cluster()) {
            return Err(Error::malformed(
                Place::Offset(40),
                "the QCOW2's tables are off a cluster's boundary",
            ));
        }
        Ok(())
    }

    /// Takes what stands between the fields and the end of the first cluster.
    fn extensions(&mut self, head: &[u8], header_length: u32, fields: &[u8]) -> Result<()> {
        let (name_at, name_length) = (u64_be(fields, 8), u32_be(fields, 16));
        let bad = |reason: &str| Error::malformed(Place::Offset(8), reason);
        let cluster = usize::try_from(self.cluster()).unwrap_or(usize::MAX);
        let head = &head[..head.len().min(cluster)];
        // Version 2 images of old have no end mark: their extensions end where the name begins.
        let end = if name_at == 0 {
            head.len()
        } else {
            small(name_at).min(head.len())
        };
        let region = head.get(small(u64::from(header_length))..end).unwrap_or(&[]);
        let found = Extensions::parse(region, u64::from(header_length))?;
        if name_at != 0 {
            if name_length > NAME_LIMIT {
                return Err(bad("the backing file's name is longer than 1023 bytes"));
            }
            let name_end = name_at
                .checked_add(u64::from(name_length))
                .map_or(usize::MAX, small);
            let name = head.get(small(name_at)..name_end);
            let name = name.ok_or_else(|| bad("the backing file's name is outside the first cluster"))?;
            let name = std::str::from_utf8(name);
            let name = name.map_err(|e| bad("the backing file's name is not UTF-8").because(e))?;
            let format = found.backing_format;
            let name = name.to_owned();
            self.backing = Some(Backing { name, format });
        }
        self.bitmaps = found.bitmaps;
        if let Some(data_file) = &mut self.data_file {
            *data_file = found.data_file;
        }
        if self.raw_data && self.backing.is_some() {
            return Err(bad("a QCOW2 image with both raw data and a backing file"));
        }
        Ok(())
    }

    /// A cluster's size in bytes.
    pub fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Entries of an L2 table.
    pub(super) fn l2_entries(&self) -> u64 {
        self.cluster() / if self.extended { 16 } else { 8 }
    }

    /// Bytes of the disk that one L2 table covers.
    pub(super) fn coverage(&self) -> u64 {
        self.cluster() * self.l2_entries()
    }

    /// The header's cluster as the writer makes it: version 3, no extensions.
    pub(super) fn render(&self) -> Vec<u8> {
        let mut block = vec![0; small(self.cluster())];
        put(&mut block, 0, MAGIC);
        put(&mut block, 4, &3u32.to_be_bytes());
        put(&mut block, 20, &self.cluster_bits.to_be_bytes());
        put(&mut block, 24, &self.size.to_be_bytes());
        put(&mut block, 36, &self.l1_entries.to_be_bytes());
        put(&mut block, 40, &self.l1_offset.to_be_bytes());
        put(&mut block, 48, &self.refcount_offset.to_be_bytes());
        put(&mut block, 56, &self.refcount_clusters.to_be_bytes());
        put(&mut block, 96, &self.refcount_order.to_be_bytes());
        put(&mut block, 100, &112u32.to_be_bytes());
        if self.compression == Compression::Zstd {
            put(&mut block, 72, &COMPRESSION_TYPE.to_be_bytes());
            block[104] = 1;
        }
        block
    }
}

fn unsupported(at: u64, reason: impl Into<String>) -> Error {
    Error::new(Kind::Unsupported, Place::Offset(at), reason)
}

fn small(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            version: 3,
            cluster_bits: 16,
            size: 1 << 30,
            l1_entries: 2,
            l1_offset: 3 << 16,
            refcount_offset: 1 << 16,
            refcount_clusters: 1,
            refcount_order: 4,
            snapshots: 0,
            dirty: false,
            extended: false,
            compression: Compression::Zstd,
            backing: None,
            data_file: None,
            raw_data: false,
            bitmaps: false,
        }
    }

    #[test]
    fn what_is_rendered_is_parsed() {
        assert_eq!(Header::parse(&header().render()).unwrap(), header());
    }

    #[test]
    fn hostile_headers_are_refused_by_kind() {
        let refused = |at: usize, field: &[u8]| {
            let mut block = header().render();
            put(&mut block, at, field);
            Header::parse(&block).unwrap_err().kind()
        };
        assert_eq!(refused(0, b"QFI\0"), Kind::Malformed, "magic");
        assert_eq!(refused(4, &1u32.to_be_bytes()), Kind::Unsupported, "version");
        assert_eq!(refused(20, &22u32.to_be_bytes()), Kind::Unsupported, "cluster");
        assert_eq!(refused(20, &8u32.to_be_bytes()), Kind::Unsupported, "cluster");
        assert_eq!(refused(24, &[0xff; 8]), Kind::Ceiling, "size");
        assert_eq!(
            refused(24, &(2u64 << 30).to_be_bytes()),
            Kind::Malformed,
            "short L1"
        );
        assert_eq!(refused(36, &[0xff; 4]), Kind::Ceiling, "long L1");
        assert_eq!(
            refused(40, &1u64.to_be_bytes()),
            Kind::Malformed,
            "L1 off its boundary"
        );
        assert_eq!(refused(56, &[0xff; 4]), Kind::Ceiling, "refcounts");
        assert_eq!(
            refused(96, &7u32.to_be_bytes()),
            Kind::Malformed,
            "refcount width"
        );
        assert_eq!(refused(32, &1u32.to_be_bytes()), Kind::Unsupported, "AES");
        assert_eq!(refused(32, &2u32.to_be_bytes()), Kind::Unsupported, "LUKS");
        assert_eq!(refused(72, &10u64.to_be_bytes()), Kind::Unsupported, "corrupt");
        assert_eq!(
            refused(72, &(1u64 << 63).to_be_bytes()),
            Kind::Malformed,
            "zlib without its bit"
        );
        assert_eq!(
            refused(72, &(8u64 | 1 << 63).to_be_bytes()),
            Kind::Unsupported,
            "feature 63"
        );
        assert_eq!(refused(104, &[2]), Kind::Unsupported, "compression");
        assert_eq!(refused(8, &[0xff; 8]), Kind::Malformed, "name outside");
        assert_eq!(
            refused(100, &13u32.to_be_bytes()),
            Kind::Malformed,
            "header length"
        );
    }

    proptest! {
        #[test]
        fn no_header_panics(tail in proptest::collection::vec(any::<u8>(), 0..300), version in 2u32..4, bits in 9u32..22) {
            let mut head = [MAGIC, version.to_be_bytes().as_slice(), tail.as_slice()].concat();
            if head.len() > 24 {
                put(&mut head, 20, &bits.to_be_bytes());
            }
            let _ = Header::parse(&head);
        }
    }
}
