//! An index that is kept beside its blob.
//!
//! ```text
//! "vccindex"        8 bytes, and 8 that say how it is laid out
//! groups            their encodings, one directly after the other
//! root              its encoding
//! digest            32 bytes, of the root's encoding
//! length            u32, big-endian, of the root's encoding
//! ```
//!
//! The root comes last because it is known last: a file is read once, and nothing is moved. It tells where each group is, and its
//! digest, so that one is read and checked without the others.

use std::fs::File;
use std::io::{Read as _, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::group::ENTRY;
use super::{Builder, Group, GroupRef, Root, digest_of};
use crate::blob::{Blobs, Owner};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};

/// Files of fewer bytes have no index: they are moved whole.
pub const SMALLEST: u64 = 1 << 20;

const MAGIC: [u8; 16] = *b"vccindex kept 1\n";
const TAIL: usize = 36;
/// Bytes of a blob that are read at once.
const PIECE: usize = 256 << 10;

/// The kept index of a blob, open. Everything waits for a disk.
#[derive(Debug)]
pub struct Index {
    file: File,
    root: Root,
}

impl Index {
    /// Opens the one of a blob; nothing where there is none, and where what there is is damaged, by what its digests say.
    ///
    /// # Errors
    /// [`Kind::Io`] and its like.
    pub fn open(blobs: &Blobs, owner: &Owner, digest: &Digest) -> Result<Option<Self>> {
        let (file, length) = match blobs.open_index(owner, digest) {
            Ok(opened) => opened,
            Err(error) if matches!(error.kind(), Kind::Unknown | Kind::StateCorrupt) => return Ok(None),
            Err(error) => return Err(error),
        };
        let root = Self::read_root(&file, length).filter(|root| root.file() == *digest);
        Ok(root.map(|root| Self { file, root }))
    }

    fn read_root(file: &File, length: u64) -> Option<Root> {
        let mut magic = [0; MAGIC.len()];
        file.read_exact_at(&mut magic, 0).ok()?;
        let end = length.checked_sub(TAIL as u64)?;
        let mut tail = [0; TAIL];
        file.read_exact_at(&mut tail, end).ok()?;
        let [digest @ .., a, b, c, d] = tail;
        let size = u32::from_be_bytes([a, b, c, d]);
        let within = usize::try_from(size).ok().filter(|size| *size <= Root::LONGEST)?;
        let mut bytes = vec![0; within];
        let start = end.checked_sub(u64::from(size))?;
        file.read_exact_at(&mut bytes, start).ok()?;
        if magic != MAGIC || digest_of(&bytes) != digest {
            return None;
        }
        let root = Root::decode(&bytes).ok()?;
        (start == place_of(root.chunks())).then_some(root)
    }

    /// Keeps an index that came with its blob: `write` writes the groups' encodings, one directly after the other, and gives
    /// their root.
    ///
    /// # Errors
    /// What `write` says; [`Kind::Mismatch`] for the root of another file; those of [`Blobs::keep_index`].
    pub fn keep(
        blobs: &Blobs,
        owner: &Owner,
        digest: &Digest,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<Root>,
    ) -> Result<()> {
        blobs.keep_index(owner, digest, |out| {
            let failed = |error| Error::file(Path::new("a chunk index"), "write", error);
            out.write_all(&MAGIC).map_err(failed)?;
            let root = write(out)?;
            if root.file() != *digest {
                let reason = format!("has the digest {}, not {digest}", root.file());
                return Err(Error::new(Kind::Mismatch, "the file of a chunk index", reason));
            }
            let bytes = root.encode();
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            out.write_all(&bytes)
                .and_then(|()| out.write_all(&digest_of(&bytes)))
                .and_then(|()| out.write_all(&length.to_be_bytes()))
                .map_err(failed)
        })
    }

    /// Makes the index of a blob, which is read once, and keeps it; nothing for a file of less than [`SMALLEST`] bytes, and where
    /// `is_wanted` came to say no meanwhile.
    ///
    /// # Errors
    /// [`Kind::Unknown`] where there is no such blob, [`Kind::StateCorrupt`] where it is damaged, [`Kind::Ceiling`] where an index
    /// can't hold it, [`Kind::StateFull`] and its like.
    pub fn build(
        blobs: &Blobs,
        owner: &Owner,
        digest: &Digest,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Option<Self>> {
        let (mut blob, size) = blobs.open_blob(owner, digest)?;
        if size < SMALLEST || !is_wanted() {
            return Ok(None);
        }
        let mut is_given_up = false;
        let kept = Self::keep(blobs, owner, digest, &mut |out| {
            let mut builder = Builder::new(size, out)?;
            let (mut hasher, mut piece) = (Hasher::default(), vec![0; PIECE]);
            loop {
                is_given_up = !is_wanted();
                let length = match is_given_up {
                    true => 0,
                    false => blob
                        .read(&mut piece)
                        .map_err(|error| Error::file(Path::new(&digest.to_string()), "read", error))?,
                };
                let Some(part) = piece.get(..length).filter(|part| !part.is_empty()) else {
                    break;
                };
                hasher.update(part);
                builder.update(part)?;
            }
            let found = hasher.finish();
            if found != *digest && !is_given_up {
                let reason = format!("has the digest {found}: the disk damaged it");
                return Err(Error::new(Kind::StateCorrupt, digest.to_string(), reason));
            }
            Ok(builder.finish(found)?.0)
        });
        match kept {
            Err(_) if is_given_up => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Self::open(blobs, owner, digest),
        }
    }

    /// Its root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The encoding of a group, as its root names it.
    ///
    /// # Errors
    /// [`Kind::Unknown`] for a number that there is no group of; [`Kind::StateCorrupt`] where the disk damaged it:
    /// [`Blobs::remove_index`] has it made again.
    pub fn encoded(&self, number: usize) -> Result<Vec<u8>> {
        let named = self.root.groups().get(number);
        let read = named.map(|named| {
            let bytes = self.read(named)?;
            (digest_of(&bytes) == named.digest).then_some(bytes)
        });
        match read {
            Some(Some(bytes)) => Ok(bytes),
            Some(None) => Err(self.damaged(number)),
            None => Err(Error::new(
                Kind::Unknown,
                self.place(),
                format!("has no group {number}"),
            )),
        }
    }

    /// A group.
    ///
    /// # Errors
    /// Those of [`Index::encoded`].
    pub fn group(&self, number: usize) -> Result<Group> {
        let bytes = self.encoded(number)?;
        self.root
            .group(number, &bytes)
            .map_err(|error| self.damaged(number).because(error))
    }

    fn read(&self, named: &GroupRef) -> Option<Vec<u8>> {
        let mut bytes = vec![0; named.encoded()];
        let at = place_of(u64::from(named.first));
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    }

    fn damaged(&self, number: usize) -> Error {
        let reason = format!("has a group {number} that is not what was kept");
        Error::new(Kind::StateCorrupt, self.place(), reason)
    }

    fn place(&self) -> String {
        format!("the chunk index of {}", self.root.file())
    }
}

/// Where what follows so many chunks is in a kept index.
fn place_of(chunks: u64) -> u64 {
    MAGIC.len() as u64 + chunks * ENTRY as u64
}
