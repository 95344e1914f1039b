//! What a file consists of, by groups of chunks.
//!
//! ```text
//! "vccindex"         8 bytes
//! version            u8         of the rules for cutting, of grouping and of this encoding
//! file               32 bytes   SHA-256
//! size               u64
//! average            u32
//! number of groups   u32
//! for each group     digest (32 bytes), bytes of the file (u64), number of chunks (u16)
//! ```
//!
//! Numbers are big-endian. A root has one encoding, which is what a node signs. Reading one takes at most [`MOST_GROUPS`] times
//! 64 bytes of memory: 8 MiB.

use super::group::ENTRY;
use super::{ChunkDigest, Class, Group, VERSION};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// The most bytes of a file that is indexed: 64 TiB.
pub const LARGEST: u64 = 64 << 40;
/// The most groups of a file: twice as many as 64 TiB have on average.
pub const MOST_GROUPS: usize = 1 << 17;

const MAGIC: [u8; 8] = *b"vccindex";
const HEAD: usize = 57;
const GROUP: usize = 42;
const PLACE: &str = "a chunk index";

/// A group, as a root names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRef {
    /// The digest of its encoding.
    pub digest: ChunkDigest,
    /// Bytes of the file before it.
    pub offset: u64,
    /// Bytes of the file in it.
    pub bytes: u64,
    /// Chunks of the file before it.
    pub first: u32,
    /// Chunks in it.
    pub chunks: u16,
}

impl GroupRef {
    /// Bytes of its encoding.
    pub fn encoded(&self) -> usize {
        usize::from(self.chunks) * ENTRY
    }
}

/// What a file consists of, by groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    file: Digest,
    size: u64,
    class: Class,
    groups: Vec<GroupRef>,
}

impl Root {
    /// Of groups that follow each other; what is inconsistent is refused.
    pub(super) fn new(file: Digest, size: u64, groups: Groups) -> Result<Self> {
        let class = Class::of(size);
        let last = groups.list.len().checked_sub(1);
        for (number, group) in groups.list.iter().enumerate() {
            let (chunks, bytes) = (u64::from(group.chunks), group.bytes);
            let shortest = u64::from(class.shortest());
            let least = match Some(number) == last {
                true => chunks.saturating_sub(1) * shortest + 1,
                false => chunks * shortest,
            };
            let is_full = (1..=class.most_chunks()).contains(&group.chunks);
            if !is_full || !(least..=chunks * u64::from(class.longest())).contains(&bytes) {
                return Err(malformed("has a group that its chunks can't make up"));
            }
        }
        if groups.bytes != size {
            return Err(malformed("has groups of another length than its file"));
        }
        Ok(Self {
            file,
            size,
            class,
            groups: groups.list,
        })
    }

    /// The file's digest.
    pub fn file(&self) -> Digest {
        self.file
    }

    /// The file's length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How the file is cut.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Its groups, in their order.
    pub fn groups(&self) -> &[GroupRef] {
        &self.groups
    }

    /// The chunks of all groups.
    pub fn chunks(&self) -> u64 {
        self.groups
            .last()
            .map_or(0, |last| u64::from(last.first) + u64::from(last.chunks))
    }

    /// Reads one of its groups from the group's encoding.
    ///
    /// # Errors
    /// [`Kind::Unknown`] for a number that it has no group of; [`Kind::Mismatch`] for bytes of another digest; [`Kind::Malformed`]
    /// for a group whose chunks are none of this file: whoever signed the root is at fault then.
    pub fn group(&self, number: usize, bytes: &[u8]) -> Result<Group> {
        let Some(named) = self.groups.get(number) else {
            let reason = format!("has {} groups, and none of number {number}", self.groups.len());
            return Err(Error::new(Kind::Unknown, PLACE, reason));
        };
        Group::decode(bytes, named, self.class, number + 1 == self.groups.len())
    }

    /// Its one encoding: what is signed, kept and sent.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.groups.len() * GROUP);
        bytes.extend(MAGIC);
        bytes.push(VERSION);
        bytes.extend(self.file.as_bytes());
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(self.class.average().to_be_bytes());
        bytes.extend(u32::try_from(self.groups.len()).unwrap_or(u32::MAX).to_be_bytes());
        for group in &self.groups {
            bytes.extend(group.digest);
            bytes.extend(group.bytes.to_be_bytes());
            bytes.extend(group.chunks.to_be_bytes());
        }
        bytes
    }

    /// The most bytes of an encoding: what may be read of one that comes.
    pub const LONGEST: usize = HEAD + MOST_GROUPS * GROUP;

    /// Reads an encoding.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for anything but what [`Root::encode`] makes; [`Kind::Ceiling`] for a file of more than [`LARGEST`]
    /// bytes, or more than [`MOST_GROUPS`] groups.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (head, rest) = bytes
            .split_first_chunk::<HEAD>()
            .ok_or_else(|| malformed("is cut short"))?;
        let (magic, head) = take::<8>(head);
        let (version, head) = take::<1>(head);
        if magic != MAGIC || version != [VERSION] {
            return Err(malformed("is none, or of another version"));
        }
        let (file, head) = take::<32>(head);
        let (size, head) = take::<8>(head);
        let (average, head) = take::<4>(head);
        let (count, _) = take::<4>(head);
        let size = u64::from_be_bytes(size);
        if size > LARGEST {
            return Err(ceiling("is of a file of more than 64 TiB"));
        }
        if u32::from_be_bytes(average) != Class::of(size).average() {
            return Err(malformed(
                "is of another average than files of its size are cut to",
            ));
        }
        let (entries, behind) = rest.as_chunks::<GROUP>();
        if !behind.is_empty() || u32::try_from(entries.len()) != Ok(u32::from_be_bytes(count)) {
            return Err(malformed("has another number of groups than it says"));
        }
        let mut groups = Groups::default();
        groups.list.reserve_exact(entries.len().min(MOST_GROUPS));
        for entry in entries {
            let (digest, rest) = take::<32>(entry);
            let (bytes, rest) = take::<8>(rest);
            let (chunks, _) = take::<2>(rest);
            groups.push(digest, u64::from_be_bytes(bytes), u16::from_be_bytes(chunks))?;
        }
        Self::new(Digest::from(file), size, groups)
    }
}

/// Groups, one after the other.
#[derive(Debug, Default)]
pub(super) struct Groups {
    list: Vec<GroupRef>,
    bytes: u64,
    chunks: u32,
}

impl Groups {
    /// One more.
    ///
    /// # Errors
    /// [`Kind::Ceiling`].
    pub(super) fn push(&mut self, digest: ChunkDigest, bytes: u64, chunks: u16) -> Result<()> {
        let (offset, first) = (self.bytes, self.chunks);
        let end = offset.checked_add(bytes).filter(|end| *end <= LARGEST);
        let after = first.checked_add(u32::from(chunks));
        let (Some(end), Some(after), true) = (end, after, self.list.len() < MOST_GROUPS) else {
            return Err(ceiling("has more groups, or longer ones, than an index may have"));
        };
        (self.bytes, self.chunks) = (end, after);
        self.list.push(GroupRef {
            digest,
            offset,
            bytes,
            first,
            chunks,
        });
        Ok(())
    }
}

/// The first bytes, which are there: what is shorter was refused.
fn take<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    match bytes.split_first_chunk::<N>() {
        Some((first, rest)) => (*first, rest),
        None => ([0; N], &[]),
    }
}

fn malformed(reason: &str) -> Error {
    Error::new(Kind::Malformed, PLACE, reason)
}

fn ceiling(reason: &str) -> Error {
    Error::new(Kind::Ceiling, PLACE, reason)
}
