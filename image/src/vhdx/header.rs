//! The file type identifier and the two headers, of which one counts.

use super::crc32c::crc32c;
use crate::error::{Error, Kind, Place, Result};
use crate::field::{u16_le, u32_le, u64_le};
use crate::source::Source;

pub(super) const IDENTIFIER: &[u8; 8] = b"vhdxfile";
const PLACES: [u64; 2] = [64 << 10, 128 << 10];
const LENGTH: usize = 4096;

/// The header that counts (section 2.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Which of the two headers is newer.
    pub sequence: u64,
    /// The log's size in bytes.
    pub log_length: u32,
    /// Where the log is.
    pub log_offset: u64,
    /// Whether the log holds changes: the file was not closed in order.
    pub log_in_use: bool,
}

impl Header {
    /// Finds the header that counts: of those with a right checksum, the one with the higher sequence number.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is no VHDX; [`Kind::Truncated`] for a file that ends before its headers;
    /// [`Kind::Checksum`] where neither is sound; [`Kind::Unsupported`] for another version.
    pub fn read(file: &dyn Source) -> Result<Self> {
        let mut identifier = [0; 8];
        if file.size() < 8 {
            return Err(Error::malformed(Place::Offset(0), "no VHDX file"));
        }
        file.read_at(0, &mut identifier)?;
        if &identifier != IDENTIFIER {
            return Err(Error::malformed(Place::Offset(0), "no VHDX file"));
        }
        let mut newest: Option<Self> = None;
        for at in PLACES {
            let mut block = vec![0; LENGTH];
            file.read_at(at, &mut block)?;
            let header = Self::parse(&block, at)?;
            if header.as_ref().map(|h| h.sequence) > newest.as_ref().map(|h| h.sequence) {
                newest = header;
            }
        }
        newest.ok_or_else(|| {
            let reason = "both VHDX headers are damaged: their checksums do not match";
            Error::new(Kind::Checksum, Place::Offset(PLACES[0]), reason)
        })
    }

    /// Nothing for a header that is damaged.
    fn parse(block: &[u8], at: u64) -> Result<Option<Self>> {
        if &block[..4] != b"head" || u32_le(block, 4) != crc32c(block, 4) {
            return Ok(None);
        }
        let (log_version, version) = (u16_le(block, 64), u16_le(block, 66));
        if version != 1 || log_version != 0 {
            let reason = format!("a VHDX of version {version} with a log of version {log_version}");
            return Err(Error::new(Kind::Unsupported, Place::Offset(at), reason));
        }
        Ok(Some(Self {
            sequence: u64_le(block, 8),
            log_length: u32_le(block, 68),
            log_offset: u64_le(block, 72),
            log_in_use: block[48..64].iter().any(|&byte| byte != 0),
        }))
    }

    /// Refuses a file whose log would have to be replayed.
    pub(super) fn check_log(&self) -> Result<()> {
        if self.log_in_use {
            let reason = "the VHDX was not closed in order: its log has to be replayed by Hyper-V first";
            return Err(Error::new(
                Kind::Unsupported,
                Place::Offset(self.log_offset),
                reason,
            ));
        }
        Ok(())
    }
}
