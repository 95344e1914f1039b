//! The superblock of an ext4 file system, read from bytes: enough to tell a state disk from others and sound from
//! damaged before it is mounted.
//!
//! Fields after the kernel's `Documentation/filesystems/ext4/super.rst`.

use crate::error::{Error, Kind, Place, Result};
use crate::field::{u16_le, u32_le};

/// Where the superblock begins, in bytes from the start of the file system.
pub const OFFSET: u64 = 1024;

/// The superblock's length in bytes.
pub const LENGTH: usize = 1024;

const MAGIC: u16 = 0xef53;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_64BIT: u32 = 0x80;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
const STATE_CLEAN: u16 = 0x1;
const STATE_ERRORS: u16 = 0x2;
const CHECKSUM_AT: usize = 0x3fc;

/// What an ext4 superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// The volume's label, at most 16 bytes; bytes that are not UTF-8 are replaced.
    pub label: String,
    /// The file system's UUID, in the order in which it is written as text.
    pub uuid: [u8; 16],
    /// Bytes in a block: 1024 to 65536.
    pub block_size: u32,
    /// Blocks of the file system.
    pub blocks: u64,
    /// It was unmounted cleanly.
    pub clean: bool,
    /// The kernel found errors that no fsck has mended yet.
    pub errors: bool,
    /// How many errors the kernel counted since the last fsck.
    pub error_count: u32,
    /// Its journal has to be replayed, as after a power cut; mounting does so.
    pub needs_recovery: bool,
}

impl Superblock {
    /// Reads the [`LENGTH`] bytes at [`OFFSET`] of a file system.
    ///
    /// # Errors
    /// [`Kind::Truncated`] for fewer bytes, [`Kind::Malformed`] where there is no ext4 (or ext2, ext3) file system or
    /// its numbers make no sense, [`Kind::Checksum`] for a damaged superblock.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let block = bytes.get(..LENGTH).ok_or_else(|| {
            Error::new(
                Kind::Truncated,
                Place::Offset(OFFSET),
                "the superblock is cut short",
            )
        })?;
        if u16_le(block, 0x38) != MAGIC {
            return Err(Error::malformed(Place::Offset(OFFSET), "no ext4 superblock"));
        }
        let (incompat, ro_compat) = (u32_le(block, 0x60), u32_le(block, 0x64));
        if ro_compat & RO_COMPAT_METADATA_CSUM != 0
            && u32_le(block, CHECKSUM_AT) != crc32c(&block[..CHECKSUM_AT])
        {
            return Err(Error::new(
                Kind::Checksum,
                Place::Offset(OFFSET),
                "the ext4 superblock is damaged",
            ));
        }
        let high = if incompat & INCOMPAT_64BIT != 0 {
            u32_le(block, 0x150)
        } else {
            0
        };
        let state = u16_le(block, 0x3a);
        let superblock = Self {
            label: label(&block[0x78..0x88]),
            uuid: block[0x68..0x78].try_into().expect("sixteen bytes were sliced"),
            block_size: block_size(u32_le(block, 0x18))?,
            blocks: u64::from(high) << 32 | u64::from(u32_le(block, 0x04)),
            clean: state & STATE_CLEAN != 0,
            errors: state & STATE_ERRORS != 0,
            error_count: u32_le(block, 0x194),
            needs_recovery: incompat & INCOMPAT_RECOVER != 0,
        };
        superblock.size()?;
        Ok(superblock)
    }

    /// The file system's size in bytes.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if that is none or does not fit 64 bits.
    pub fn size(&self) -> Result<u64> {
        let size = self
            .blocks
            .checked_mul(u64::from(self.block_size))
            .filter(|&size| size > 0);
        size.ok_or_else(|| Error::malformed(Place::Offset(OFFSET), "an ext4 file system of impossible size"))
    }
}

fn block_size(log: u32) -> Result<u32> {
    if log > 6 {
        return Err(Error::malformed(
            Place::Offset(OFFSET),
            "an ext4 block size above 64 KiB",
        ));
    }
    Ok(1024 << log)
}

fn label(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// CRC-32C (Castagnoli) as ext4 keeps it: started with all ones, not inverted at the end.
fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |mut crc, &byte| {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Seek as _, SeekFrom};
    use std::process::Command;

    /// A superblock by mke2fs, the independent writer.
    fn by_mke2fs(options: &[&str], size: &str) -> Option<Vec<u8>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let done = Command::new("mkfs.ext4")
            .args(["-q", "-F", "-L", "vcc-state"])
            .args(options)
            .arg(file.path())
            .arg(size)
            .status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("skipped: mkfs.ext4 is not installed");
            return None;
        }
        let mut bytes = vec![0; LENGTH];
        let mut reader = std::fs::File::open(file.path()).unwrap();
        reader.seek(SeekFrom::Start(OFFSET)).unwrap();
        reader.read_exact(&mut bytes).unwrap();
        Some(bytes)
    }

    #[test]
    fn what_mke2fs_wrote_is_read() {
        let uuid = "11111111-2222-3333-4444-555555555555";
        let Some(bytes) = by_mke2fs(&["-b", "4096", "-U", uuid], "32M") else {
            return;
        };
        let superblock = Superblock::parse(&bytes).unwrap();
        assert_eq!(superblock.label, "vcc-state");
        assert_eq!(superblock.uuid[..5], [0x11, 0x11, 0x11, 0x11, 0x22]);
        assert_eq!(
            (superblock.block_size, superblock.size().unwrap()),
            (4096, 32 << 20)
        );
        assert!(superblock.clean && !superblock.errors && !superblock.needs_recovery);
    }

    #[test]
    fn a_flipped_byte_is_found() {
        let Some(mut bytes) = by_mke2fs(&[], "32M") else {
            return;
        };
        bytes[0x78] ^= 1;
        assert_eq!(Superblock::parse(&bytes).unwrap_err().kind(), Kind::Checksum);
    }

    #[test]
    fn other_bytes_are_refused_by_kind() {
        assert_eq!(
            Superblock::parse(&[0; LENGTH]).unwrap_err().kind(),
            Kind::Malformed
        );
        assert_eq!(Superblock::parse(&[0; 100]).unwrap_err().kind(), Kind::Truncated);
        let mut empty = [0; LENGTH];
        empty[0x38..0x3a].copy_from_slice(&MAGIC.to_le_bytes());
        assert_eq!(Superblock::parse(&empty).unwrap_err().kind(), Kind::Malformed);
    }

    #[test]
    fn crc32c_agrees_with_its_check_value() {
        assert_eq!(!crc32c(b"123456789"), 0xe306_9283);
    }
}
