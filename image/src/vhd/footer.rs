//! The footer: the last sector of every VHD, and again the first one of a dynamic VHD.

use super::{CAPACITY_LIMIT, Geometry};
use crate::error::{Error, Kind, Place, Result};
use crate::field::{put, u16_le, u32_be, u64_be};
use crate::guid::Guid;
use crate::source::SECTOR;

pub(super) const LENGTH: usize = 512;
/// Where a fixed disk's footer says the next structure is: nowhere.
pub(super) const NOWHERE: u64 = u64::MAX;

pub(super) const COOKIE: &[u8; 8] = b"conectix";
/// A bit that is always set.
const FEATURES: u32 = 2;
const TEMPORARY: u32 = 1;
const VERSION: u32 = 0x0001_0000;
const CHECKSUM_AT: usize = 64;
/// QEMU, XenServer and others take the size from the footer, not from the geometry, for creators that they know.
const CREATOR: &[u8; 4] = b"win ";
const CREATOR_VERSION: u32 = 0x0006_0003;
const CREATOR_HOST: &[u8; 4] = b"Wi2k";

/// How a VHD stores its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// All bytes as they are: what Azure takes.
    Fixed,
    /// Only blocks that hold data.
    #[default]
    Dynamic,
}

/// What a VHD's footer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footer {
    /// How the disk is stored.
    pub form: Form,
    /// The disk's size in bytes.
    pub size: u64,
    /// The disk's shape.
    pub geometry: Geometry,
    /// The disk's own identity.
    pub id: Guid,
    /// Where the dynamic header is, in bytes; all ones in a fixed disk.
    pub(super) header: u64,
}

impl Footer {
    /// A new disk's footer.
    pub(super) fn new(form: Form, size: u64, id: Guid) -> Self {
        Self {
            form,
            size,
            geometry: Geometry::of(size / SECTOR),
            id,
            header: match form {
                Form::Fixed => NOWHERE,
                Form::Dynamic => LENGTH as u64,
            },
        }
    }

    /// Reads the footer found at byte `at`.
    ///
    /// # Errors
    /// [`Kind::Truncated`] for fewer than 512 bytes; [`Kind::Malformed`] for what is no footer; [`Kind::Checksum`];
    /// [`Kind::Unsupported`] for other versions, unknown features and differencing disks; [`Kind::Ceiling`] above
    /// [`CAPACITY_LIMIT`].
    pub fn parse(bytes: &[u8], at: u64) -> Result<Self> {
        let error = |kind, reason: &str| Error::new(kind, Place::Offset(at), reason);
        let block = bytes
            .get(..LENGTH)
            .ok_or_else(|| error(Kind::Truncated, "the VHD footer is cut short"))?;
        if &block[..8] != COOKIE {
            return Err(error(Kind::Malformed, "no VHD footer"));
        }
        if u32_be(block, CHECKSUM_AT) != checksum(block, CHECKSUM_AT) {
            return Err(error(
                Kind::Checksum,
                "the VHD footer does not match its checksum",
            ));
        }
        if u32_be(block, 8) & !(FEATURES | TEMPORARY) != 0 || u32_be(block, 12) >> 16 != VERSION >> 16 {
            return Err(error(
                Kind::Unsupported,
                "a VHD of another version or with unknown features",
            ));
        }
        let form = match u32_be(block, 60) {
            2 => Form::Fixed,
            3 => Form::Dynamic,
            4 => {
                let reason = "a differencing VHD, which needs its parent, is not read";
                return Err(error(Kind::Unsupported, reason));
            }
            _ => return Err(error(Kind::Unsupported, "a VHD of an unknown type")),
        };
        let size = u64_be(block, 48);
        if size > CAPACITY_LIMIT {
            return Err(error(Kind::Ceiling, "the VHD is larger than 2040 GiB"));
        }
        if !size.is_multiple_of(SECTOR) {
            return Err(error(
                Kind::Malformed,
                "the VHD's size is no whole number of sectors",
            ));
        }
        let mut id = [0; 16];
        id.copy_from_slice(&block[68..84]);
        Ok(Self {
            form,
            size,
            geometry: Geometry {
                cylinders: u16_le(block, 56).swap_bytes(),
                heads: block[58],
                sectors: block[59],
            },
            id: Guid::from_bytes(id),
            header: u64_be(block, 16),
        })
    }

    /// The footer's sector. It carries no time: the same disk gives the same bytes.
    pub(super) fn render(&self) -> [u8; LENGTH] {
        let mut block = [0; LENGTH];
        put(&mut block, 0, COOKIE);
        put(&mut block, 8, &FEATURES.to_be_bytes());
        put(&mut block, 12, &VERSION.to_be_bytes());
        put(&mut block, 16, &self.header.to_be_bytes());
        put(&mut block, 28, CREATOR);
        put(&mut block, 32, &CREATOR_VERSION.to_be_bytes());
        put(&mut block, 36, CREATOR_HOST);
        put(&mut block, 40, &self.size.to_be_bytes());
        put(&mut block, 48, &self.size.to_be_bytes());
        put(&mut block, 56, &self.geometry.cylinders.to_be_bytes());
        put(&mut block, 58, &[self.geometry.heads, self.geometry.sectors]);
        let form: u32 = match self.form {
            Form::Fixed => 2,
            Form::Dynamic => 3,
        };
        put(&mut block, 60, &form.to_be_bytes());
        put(&mut block, 68, self.id.as_bytes());
        let sum = checksum(&block, CHECKSUM_AT);
        put(&mut block, CHECKSUM_AT, &sum.to_be_bytes());
        block
    }
}

/// The complement of the sum of all bytes but the checksum's own four, at `own`.
pub(super) fn checksum(block: &[u8], own: usize) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    !(sum(&block[..own]) + sum(&block[own + 4..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Footer {
        Footer::new(Form::Dynamic, 64 << 20, Guid::derive(b"test"))
    }

    fn changed(at: usize, bytes: &[u8]) -> Kind {
        let mut block = sample().render();
        put(&mut block, at, bytes);
        let sum = checksum(&block, CHECKSUM_AT);
        put(&mut block, CHECKSUM_AT, &sum.to_be_bytes());
        Footer::parse(&block, 7).unwrap_err().kind()
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Footer::parse(&sample().render(), 0).unwrap(), sample());
    }

    #[test]
    fn hostile_footers_are_refused_by_kind() {
        assert_eq!(changed(0, b"x"), Kind::Malformed);
        assert_eq!(
            changed(60, &4u32.to_be_bytes()),
            Kind::Unsupported,
            "differencing"
        );
        assert_eq!(changed(60, &5u32.to_be_bytes()), Kind::Unsupported);
        assert_eq!(changed(8, &6u32.to_be_bytes()), Kind::Unsupported);
        assert_eq!(changed(12, &[0, 2]), Kind::Unsupported);
        assert_eq!(changed(48, &u64::MAX.to_be_bytes()), Kind::Ceiling);
        assert_eq!(changed(48, &513u64.to_be_bytes()), Kind::Malformed);
        let mut block = sample().render();
        block[100] = 1;
        assert_eq!(Footer::parse(&block, 0).unwrap_err().kind(), Kind::Checksum);
        assert_eq!(
            Footer::parse(&block[..511], 0).unwrap_err().kind(),
            Kind::Truncated
        );
    }

    proptest! {
        #[test]
        fn no_footer_panics(mut block in proptest::collection::vec(any::<u8>(), 512)) {
            block[..8].copy_from_slice(COOKIE);
            let sum = checksum(&block, CHECKSUM_AT);
            block[CHECKSUM_AT..68].copy_from_slice(&sum.to_be_bytes());
            let _ = Footer::parse(&block, 0);
        }
    }
}
