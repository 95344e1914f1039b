//! Large files: named by their SHA-256 digest, never changed, and kept for each owner apart.
//!
//! ```text
//! DIR/blobs/OWNER/ab/DIGEST           a blob, whole; mode 0400. `ab` are its digest's first two digits
//! DIR/quarantine/OWNER/ID/bytes       a file that is being received, front to back
//! DIR/quarantine/OWNER/ID/received    how much of it is on the disk, and how long it will be, in decimal
//! DIR/indexes/OWNER/DIGEST            the chunk index of a blob: see [`chunk`](crate::chunk)
//! ```
//!
//! A file's way is [`Partial`] (bytes come, over many connections and restarts), [`Sealed`] (all are there and synced, and the
//! digest is known), blob. What is in quarantine is nobody's to read but for whoever checks it: [`Sealed::file`].
//!
//! Two owners never share a blob: that one of them is spared an upload would tell it what the other has.
//!
//! After a crash a blob is there whole or not at all. A table that is to name it notes [`Sealed::digest`] before
//! [`Blobs::adopt`]: whoever comes after a crash then finds the blob, or the file still in quarantine.
//! [`Blobs::remove`] knows nothing about tables; what calls it sees that nobody adopts the same digest meanwhile.
//!
//! Everything here waits for a disk: asynchronous callers use `spawn_blocking`.

mod folder;
mod index;
mod owner;
mod partial;
mod record;
mod sealed;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use uuid::Uuid;

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use folder::Folder;
use record::Record;

pub use owner::Owner;
pub use partial::Partial;
pub use sealed::Sealed;

const BLOBS: &str = "blobs";
const QUARANTINE: &str = "quarantine";
const INDEXES: &str = "indexes";
/// In a folder of the quarantine: the bytes.
const BYTES: &str = "bytes";
/// How much of them is on the disk.
const RECEIVED: &str = "received";

/// The large files of a state directory.
#[derive(Debug)]
pub struct Blobs {
    blobs: Folder,
    quarantine: Folder,
    indexes: Folder,
    /// Tells what this process has not finished from what an earlier one left.
    run: Uuid,
}

impl Blobs {
    /// Opens those of a state directory. Folders are made as they are needed, mode 0700.
    ///
    /// # Errors
    /// [`Kind::StateFull`], [`Kind::StateReadOnly`], or [`Kind::Io`], also for a link in the place of a folder.
    pub fn open(state: &Path) -> Result<Self> {
        let state = Folder::open(state)?;
        let (blobs, quarantine) = (state.make(BLOBS)?, state.make(QUARANTINE)?);
        let indexes = state.make(INDEXES)?;
        state.sync()?;
        Ok(Self {
            blobs,
            quarantine,
            indexes,
            run: Uuid::new_v4(),
        })
    }

    /// Begins to receive a file of `size` bytes, which its owner knows as `id`.
    ///
    /// # Errors
    /// [`Kind::Taken`] for an id that is in quarantine already; [`Kind::StateFull`] and its like.
    pub fn receive(&self, owner: &Owner, id: Uuid, size: u64) -> Result<Partial> {
        let folder = self.quarantine.make(&owner.to_string())?;
        self.quarantine.sync()?;
        let inner = folder.create_folder(&id.to_string())?;
        let partial = Partial::create(inner, *owner, id, size);
        let begun = partial.and_then(|partial| folder.sync().map(|()| partial));
        if begun.is_err() {
            // What is left of it is found in quarantine.
            let _ = self.discard(owner, id);
        }
        begun
    }

    /// Goes on with a file from what is known to be on the disk, which is read once for its digest: that takes a while for a
    /// large one. Between two connections of one process a [`Partial`] is better kept.
    ///
    /// # Errors
    /// [`Kind::Unknown`] where there is none, [`Kind::Taken`] while it is being received elsewhere, [`Kind::StateCorrupt`] where
    /// the disk lost what it had taken.
    pub fn resume(&self, owner: &Owner, id: Uuid) -> Result<Partial> {
        let folder = self.quarantine.open_folder(&owner.to_string())?;
        Partial::resume(folder.open_folder(&id.to_string())?, *owner, id)
    }

    /// How much of a file is on the disk, and how long it will be, without reading any of it.
    ///
    /// # Errors
    /// [`Kind::Unknown`] where there is none.
    pub fn received(&self, owner: &Owner, id: Uuid) -> Result<(u64, u64)> {
        let folder = self.quarantine.open_folder(&owner.to_string())?;
        let record = Record::read(&folder.open_folder(&id.to_string())?)?;
        Ok((record.received, record.size))
    }

    /// Makes a sealed file its owner's blob. Where the owner has that one already, the new file is dropped.
    ///
    /// # Errors
    /// [`Kind::Refused`] for a file that another owner sent; [`Kind::StateFull`] and its like: it is still in quarantine then,
    /// or it is adopted and this can't be told: see [`Blobs::open_blob`].
    pub fn adopt(&self, owner: &Owner, sealed: Sealed) -> Result<Digest> {
        if sealed.owner() != owner {
            let place = sealed.id().to_string();
            return Err(Error::new(Kind::Refused, place, "was sent for another owner"));
        }
        let home = self.home(owner, &sealed.digest())?;
        sealed.move_to(&home)?;
        self.discard(owner, sealed.id())?;
        Ok(sealed.digest())
    }

    /// Opens a blob; also tells its length in bytes.
    ///
    /// # Errors
    /// [`Kind::Unknown`] where this owner has none such.
    pub fn open_blob(&self, owner: &Owner, digest: &Digest) -> Result<(File, u64)> {
        let name = digest.to_string();
        let folder = self.blobs.open_folder(&owner.to_string())?;
        folder.open_folder(shard(&name))?.open_file(&name)
    }

    /// Removes a blob and its index; that there is none is no error. Whoever has it open reads on.
    ///
    /// # Errors
    /// [`Kind::StateReadOnly`] and its like.
    pub fn remove(&self, owner: &Owner, digest: &Digest) -> Result<()> {
        self.remove_index(owner, digest)?;
        let name = digest.to_string();
        let folder = self.blobs.open_folder(&owner.to_string());
        let Some(folder) = known(folder.and_then(|folder| folder.open_folder(shard(&name))))? else {
            return Ok(());
        };
        folder.remove_file(&name)?;
        folder.sync()
    }

    /// All blobs of an owner; what has no blob's name is passed over.
    ///
    /// # Errors
    /// [`Kind::Io`] and its like.
    pub fn list(&self, owner: &Owner) -> Result<Vec<Digest>> {
        let Some(folder) = known(self.blobs.open_folder(&owner.to_string()))? else {
            return Ok(Vec::new());
        };
        let mut digests = Vec::new();
        for shard in folder.names()? {
            let Ok(folder) = folder.open_folder(&shard) else {
                continue;
            };
            let names = folder.names()?;
            let found = names.iter().filter(|name| name.starts_with(&shard));
            digests.extend(found.filter_map(|name| name.parse::<Digest>().ok()));
        }
        Ok(digests)
    }

    /// Everybody for whom there is a blob, or something in quarantine, or was once.
    ///
    /// # Errors
    /// [`Kind::Io`] and its like.
    pub fn owners(&self) -> Result<Vec<Owner>> {
        let names = self.blobs.names()?.into_iter().chain(self.quarantine.names()?);
        let owners: BTreeSet<Owner> = names.filter_map(|name| name.parse().ok()).collect();
        Ok(owners.into_iter().collect())
    }

    /// What is in an owner's quarantine.
    ///
    /// # Errors
    /// [`Kind::Io`] and its like.
    pub fn quarantined(&self, owner: &Owner) -> Result<Vec<Uuid>> {
        let folder = known(self.quarantine.open_folder(&owner.to_string()))?;
        let names = folder.map(|folder| folder.names()).transpose()?;
        let ids = names.into_iter().flatten();
        Ok(ids
            .filter_map(|name| name.parse::<Uuid>().ok().filter(|id| id.to_string() == name))
            .collect())
    }

    /// Takes a file out of quarantine for good; that there is none is no error. Whoever still receives it fails.
    ///
    /// # Errors
    /// [`Kind::StateReadOnly`] and its like.
    pub fn discard(&self, owner: &Owner, id: Uuid) -> Result<()> {
        let Some(folder) = known(self.quarantine.open_folder(&owner.to_string()))? else {
            return Ok(());
        };
        let id = id.to_string();
        let Some(inner) = known(folder.open_folder(&id))? else {
            return Ok(());
        };
        inner
            .names()?
            .iter()
            .try_for_each(|name| inner.remove_file(name))?;
        folder.remove_folder(&id)?;
        folder.sync()
    }

    /// The folder for a blob, on the disk.
    fn home(&self, owner: &Owner, digest: &Digest) -> Result<Folder> {
        let folder = self.blobs.make(&owner.to_string())?;
        // Also where it was there: whoever made it may not be as far yet.
        self.blobs.sync()?;
        let home = folder.make(shard(&digest.to_string()))?;
        folder.sync()?;
        Ok(home)
    }
}

/// The folder of a blob in its owner's: no folder gets more than a fair share of them.
fn shard(name: &str) -> &str {
    name.get(..2).unwrap_or(name)
}

/// What is not there is no failure.
fn known<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == Kind::Unknown => Ok(None),
        Err(error) => Err(error),
    }
}
