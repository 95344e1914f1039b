//! A file that is whole, and whose digest is known.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use uuid::Uuid;

use super::folder::Folder;
use super::{BYTES, Owner};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// A whole file in quarantine; dropped, it stays there, and [`Blobs::resume`](super::Blobs::resume) leads to it again.
#[derive(Debug)]
pub struct Sealed {
    folder: Folder,
    /// Holds the lock.
    file: File,
    owner: Owner,
    id: Uuid,
    digest: Digest,
    size: u64,
}

impl Sealed {
    pub(super) fn new(folder: Folder, file: File, owner: Owner, id: Uuid, digest: Digest, size: u64) -> Self {
        Self {
            folder,
            file,
            owner,
            id,
            digest,
            size,
        }
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// What its owner knows it by.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The file, for whoever judges it before it is adopted. Nobody writes to it any more.
    ///
    /// # Errors
    /// [`Kind::Unknown`] where it was discarded meanwhile.
    pub fn file(&self) -> Result<File> {
        self.folder.open_file(BYTES).map(|(file, _)| file)
    }

    /// Gives it its name in `home`, durably; the one that is there already stays.
    pub(super) fn move_to(&self, home: &Folder) -> Result<()> {
        self.make_read_only()?;
        let name = self.digest.to_string();
        match self.folder.move_new(BYTES, home, &name) {
            Err(error) if error.kind() == Kind::Taken => {
                // One of another length was damaged, and here it is whole.
                if !home.open_file(&name).is_ok_and(|(_, length)| length == self.size) {
                    self.folder.move_over(BYTES, home, &name)?;
                }
            }
            moved => moved?,
        }
        home.sync()
    }

    /// What is in it never changes again.
    pub(super) fn make_read_only(&self) -> Result<()> {
        self.file
            .set_permissions(Permissions::from_mode(0o400))
            .and_then(|()| self.file.sync_all())
            .map_err(|error| Error::file(&self.folder.path(BYTES), "make read-only", error))
    }
}
