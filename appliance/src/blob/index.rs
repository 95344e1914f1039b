//! Indexes beside blobs: what can be made again from a blob, and saves reading it.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;

use rustix::io::Errno;
use uuid::Uuid;

use super::folder::Folder;
use super::{Blobs, Owner, known};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::store::Space;

/// Bytes that are written at once.
const PIECE: usize = 64 << 10;

impl Blobs {
    /// Keeps the index of a blob, in the place of the one that is there: `write` writes it, and it has its name when it is whole and
    /// on the disk. Whether there is such a blob nobody asks: see [`Blobs::sweep_indexes`].
    ///
    /// # Errors
    /// What `write` says; [`Kind::StateFull`](crate::error::Kind::StateFull) before the disk is so full that others suffer, and its
    /// like.
    pub fn keep_index(
        &self,
        owner: &Owner,
        digest: &Digest,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let folder = self.indexes.make(&owner.to_string())?;
        self.indexes.sync()?;
        let name = format!("{}{}", self.unfinished(), Uuid::new_v4());
        let kept = Self::write_index(&folder, &name, write)
            .and_then(|()| folder.move_over(&name, &folder, &digest.to_string()));
        if kept.is_err() {
            // What is left of it is swept.
            let _ = folder.remove_file(&name);
        }
        kept?;
        folder.sync()
    }

    fn write_index(
        folder: &Folder,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let failed = |error| Error::file(&folder.path(name), "write", error);
        let file = folder.create_file(name)?;
        let mut out = BufWriter::with_capacity(PIECE, Sparing(file));
        write(&mut out)?;
        let Sparing(file) = out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.set_permissions(Permissions::from_mode(0o400))
            .and_then(|()| file.sync_all())
            .map_err(failed)
    }

    /// Opens the index of a blob; also tells its length in bytes.
    ///
    /// # Errors
    /// [`Kind::Unknown`](crate::error::Kind::Unknown) where there is none.
    pub fn open_index(&self, owner: &Owner, digest: &Digest) -> Result<(File, u64)> {
        let folder = self.indexes.open_folder(&owner.to_string())?;
        folder.open_file(&digest.to_string())
    }

    /// Removes the index of a blob; that there is none is no error.
    ///
    /// # Errors
    /// [`Kind::StateReadOnly`](crate::error::Kind::StateReadOnly) and its like.
    pub fn remove_index(&self, owner: &Owner, digest: &Digest) -> Result<()> {
        let Some(folder) = known(self.indexes.open_folder(&owner.to_string()))? else {
            return Ok(());
        };
        folder.remove_file(&digest.to_string())?;
        folder.sync()
    }

    /// Removes indexes without a blob, and what another run of the program left unfinished.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::error::Kind::Io) and its like.
    pub fn sweep_indexes(&self) -> Result<()> {
        let unfinished = self.unfinished();
        for owner in self.indexes.names()? {
            // What has another name is none of ours.
            let Ok(owner) = owner.parse::<Owner>() else {
                continue;
            };
            let folder = self.indexes.open_folder(&owner.to_string())?;
            for name in folder
                .names()?
                .iter()
                .filter(|name| !name.starts_with(&unfinished))
            {
                let blob = name.parse().map(|digest| self.open_blob(&owner, &digest));
                let is_stray = match blob {
                    Ok(blob) => known(blob)?.is_none(),
                    Err(_) => true,
                };
                if is_stray {
                    folder.remove_file(name)?;
                }
            }
        }
        Ok(())
    }

    /// What the names of this run's unfinished indexes begin with.
    fn unfinished(&self) -> String {
        format!("{}.", self.run)
    }
}

/// Writes as long as the disk has room for others.
struct Sparing(File);

impl Write for Sparing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Space::around(&self.0)?.takes(bytes.len() as u64) {
            true => self.0.write(bytes),
            false => Err(Errno::NOSPC.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
