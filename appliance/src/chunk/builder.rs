//! An index, made while a file is read or written.

use std::io::Write;

use blake3::Hasher;

use super::root::Groups;
use super::{Chunk, Class, Cutter, LARGEST, Root, digest_of};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

const PLACE: &str = "a chunk index";

/// Makes the index of a file whose bytes come front to back. Groups are written as they end; what stays in memory is one of them,
/// and 64 bytes for each: at most 8 MiB.
#[derive(Debug)]
pub struct Builder<W> {
    out: W,
    size: u64,
    taken: u64,
    class: Class,
    cutter: Cutter,
    hasher: Hasher,
    group: Vec<u8>,
    group_bytes: u64,
    group_chunks: u16,
    groups: Groups,
}

impl<W: Write> Builder<W> {
    /// For a file of `size` bytes; the encodings of its groups go to `out`, one directly after the other.
    ///
    /// # Errors
    /// [`Kind::Ceiling`] for a file of more than [`LARGEST`] bytes.
    pub fn new(size: u64, out: W) -> Result<Self> {
        if size > LARGEST {
            return Err(Error::new(
                Kind::Ceiling,
                PLACE,
                "can't be of a file of more than 64 TiB",
            ));
        }
        let class = Class::of(size);
        Ok(Self {
            out,
            size,
            taken: 0,
            class,
            cutter: Cutter::new(class),
            hasher: Hasher::new(),
            group: Vec::new(),
            group_bytes: 0,
            group_chunks: 0,
            groups: Groups::default(),
        })
    }

    /// Takes the next bytes. Pieces of 64 KiB and more are digested fastest.
    ///
    /// # Errors
    /// [`Kind::Ceiling`] for more bytes than were announced, or more groups than an index may have; [`Kind::Io`] and its like
    /// where a group can't be written.
    pub fn update(&mut self, bytes: &[u8]) -> Result<()> {
        let taken = self.taken.checked_add(bytes.len() as u64);
        let Some(taken) = taken.filter(|taken| *taken <= self.size) else {
            let reason = format!("is of a file of {} bytes, and more come", self.size);
            return Err(Error::new(Kind::Ceiling, PLACE, reason));
        };
        self.taken = taken;
        let mut rest = bytes;
        loop {
            let before = self.cutter.pending();
            let Some((part, after)) = self.cutter.take(rest).and_then(|end| rest.split_at_checked(end))
            else {
                self.hasher.update(rest);
                return Ok(());
            };
            self.hasher.update(part);
            self.end_chunk(before + part.len())?;
            rest = after;
        }
    }

    /// Ends the index of a file with this digest, when all bytes came; also gives back what the groups were written to.
    ///
    /// # Errors
    /// [`Kind::Incomplete`] where bytes are missing; [`Kind::Ceiling`] and [`Kind::Io`] as before.
    pub fn finish(mut self, file: Digest) -> Result<(Root, W)> {
        if self.taken != self.size {
            let reason = format!("has {} of {} bytes", self.taken, self.size);
            return Err(Error::new(Kind::Incomplete, PLACE, reason));
        }
        match self.cutter.pending() {
            0 => {}
            length => self.end_chunk(length)?,
        }
        if self.group_chunks > 0 {
            self.end_group()?;
        }
        Ok((Root::new(file, self.size, self.groups)?, self.out))
    }

    fn end_chunk(&mut self, length: usize) -> Result<()> {
        let chunk = Chunk {
            digest: *self.hasher.finalize().as_bytes(),
            length: u32::try_from(length).unwrap_or(u32::MAX),
        };
        self.hasher.reset();
        chunk.encode(&mut self.group);
        self.group_bytes += u64::from(chunk.length);
        self.group_chunks += 1;
        match self.class.ends_group(&chunk.digest) || self.group_chunks == self.class.most_chunks() {
            true => self.end_group(),
            false => Ok(()),
        }
    }

    fn end_group(&mut self) -> Result<()> {
        let digest = digest_of(&self.group);
        self.groups.push(digest, self.group_bytes, self.group_chunks)?;
        self.out
            .write_all(&self.group)
            .map_err(|error| Error::file(std::path::Path::new(PLACE), "write", error))?;
        self.group.clear();
        (self.group_bytes, self.group_chunks) = (0, 0);
        Ok(())
    }
}
