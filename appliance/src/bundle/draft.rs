//! A bundle that is being made: it has its name when all of it is there.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::sealed::{SEGMENT, Sealing};
use super::{ASSOCIATED, Head, Key, MAGIC};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
use crate::file::PrivateFile;
use crate::transfer::OfferedFile;

/// A bundle without its last bytes; dropped before it is kept, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    sealing: Sealing<PrivateFile>,
    /// The files that are still to come, the next one last.
    missing: Vec<OfferedFile>,
    hasher: Hasher,
    /// Bytes of the file that is coming.
    written: u64,
}

impl Draft {
    /// Begins one.
    ///
    /// # Errors
    /// What is wrong with the head; [`Kind::Io`] and its like.
    pub(crate) fn create(path: &Path, key: &Key, head: &Head) -> Result<Self> {
        head.granted()?;
        let text = head.write()?;
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let mut file = PrivateFile::create(path)?;
        file.write_all(MAGIC)
            .map_err(|error| Error::file(path, "write", error))?;
        let mut sealing = Sealing::begin(file, key, ASSOCIATED, SEGMENT)?;
        sealing.write(&length.to_be_bytes())?;
        sealing.write(&text)?;
        Ok(Self {
            path: path.to_owned(),
            sealing,
            missing: head.offer.files.iter().rev().cloned().collect(),
            hasher: Hasher::default(),
            written: 0,
        })
    }

    /// Takes the next bytes of the file that is coming.
    ///
    /// # Errors
    /// [`Kind::Ceiling`] for more than it has; [`Kind::Io`] and its like.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.written.saturating_add(bytes.len() as u64);
        if self.missing.last().is_none_or(|file| written > file.bytes) {
            return Err(self.wrong(Kind::Ceiling, "has more bytes than it was said to have"));
        }
        self.sealing.write(bytes)?;
        self.hasher.update(bytes);
        self.written = written;
        Ok(())
    }

    /// Closes the file that came.
    ///
    /// # Errors
    /// [`Kind::Mismatch`] for another file than the one that is offered.
    pub(crate) fn close(&mut self) -> Result<()> {
        let digest: Digest = std::mem::take(&mut self.hasher).finish();
        let is_right = self
            .missing
            .last()
            .is_some_and(|file| self.written == file.bytes && digest == file.digest);
        if !is_right {
            return Err(self.wrong(Kind::Mismatch, "is not the file that the grant is for"));
        }
        self.missing.pop();
        self.written = 0;
        Ok(())
    }

    /// Gives it its name, durably; one that is there is replaced only if that is wanted.
    ///
    /// # Errors
    /// [`Kind::Incomplete`], [`Kind::Taken`], [`Kind::Io`] and its like.
    pub(crate) fn keep(self, replace: bool) -> Result<()> {
        if !self.missing.is_empty() {
            return Err(self.wrong(Kind::Incomplete, "is not there"));
        }
        self.sealing.finish()?.finish(replace)
    }

    fn wrong(&self, kind: Kind, reason: &str) -> Error {
        let file = self.missing.last().map(|file| file.name.clone());
        Error::new(kind, file.unwrap_or(self.path.display().to_string()), reason)
    }
}
