//! The chunks of a group.
//!
//! ```text
//! for each chunk    digest (32 bytes), length (u32, big-endian)
//! ```

use super::{ChunkDigest, Class, GroupRef, digest_of};
use crate::error::{Error, Kind, Result};

/// Bytes of a chunk in a group's encoding.
pub(super) const ENTRY: usize = 36;

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Its digest.
    pub digest: ChunkDigest,
    /// Its length in bytes.
    pub length: u32,
}

impl Chunk {
    /// Whether these bytes are the chunk's.
    pub fn is(&self, bytes: &[u8]) -> bool {
        usize::try_from(self.length) == Ok(bytes.len()) && digest_of(bytes) == self.digest
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.digest);
        out.extend(self.length.to_be_bytes());
    }
}

/// Chunks that follow each other in a file, as a root vouches for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group(Vec<Chunk>);

impl Group {
    /// Reads a group that a root names; `is_last` for the last one of a file.
    ///
    /// # Errors
    /// [`Kind::Mismatch`] for bytes of another digest; [`Kind::Malformed`] for what the root should not have named: a length that
    /// no chunk has, a sum that is not the group's, an end elsewhere than the chunks say.
    pub(super) fn decode(bytes: &[u8], named: &GroupRef, class: Class, is_last: bool) -> Result<Self> {
        let malformed = |reason: &str| Error::new(Kind::Malformed, "a group of chunks", reason);
        if digest_of(bytes) != named.digest {
            let reason = "is not what the index names";
            return Err(Error::new(Kind::Mismatch, "a group of chunks", reason));
        }
        let (entries, rest) = bytes.as_chunks::<ENTRY>();
        if !rest.is_empty() || entries.len() != usize::from(named.chunks) {
            return Err(malformed("has another number of chunks than the index says"));
        }
        let mut chunks = Vec::with_capacity(entries.len());
        let mut sum = 0_u64;
        for (entry, place) in entries.iter().zip(1..) {
            let [digest @ .., a, b, c, d] = *entry;
            let length = u32::from_be_bytes([a, b, c, d]);
            let (ends_group, ends_here) = (class.ends_group(&digest), place == entries.len());
            let shortest = if is_last && ends_here { 1 } else { class.shortest() };
            if !(shortest..=class.longest()).contains(&length) {
                return Err(malformed("has a chunk of a length that none is cut to"));
            }
            let may_end = ends_group || is_last || place == usize::from(class.most_chunks());
            if (ends_here && !may_end) || (ends_group && !ends_here) {
                return Err(malformed("ends elsewhere than its chunks say"));
            }
            sum += u64::from(length);
            chunks.push(Chunk { digest, length });
        }
        match sum == named.bytes {
            true => Ok(Self(chunks)),
            false => Err(malformed("has another length than the index says")),
        }
    }

    /// Its chunks, in their order.
    pub fn chunks(&self) -> &[Chunk] {
        &self.0
    }

    /// As it is kept and sent: 36 bytes for each chunk.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY);
        self.0.iter().for_each(|chunk| chunk.encode(&mut bytes));
        bytes
    }
}
