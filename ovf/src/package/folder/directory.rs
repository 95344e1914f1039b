//! A folder of the file system.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::{Folder, FolderFile};
use crate::error::{Error, Kind};
use crate::package::MemberName;

/// Links are refused: they could lead out of the folder.
pub(in crate::package) struct Directory(pub(in crate::package) PathBuf);

impl Folder for Directory {
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, Error> {
        let failed = |error: io::Error| Error::io("opening the file", error);
        self.refuse_links(name)?;
        let file = match File::open(name.under(&self.0)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::new(Kind::MemberType, "not a regular file"));
        }
        Ok(Some(FolderFile {
            size: metadata.len(),
            body: Box::new(file),
        }))
    }
}

impl Directory {
    /// Refuses a member that is, or stands under, a symbolic link.
    fn refuse_links(&self, name: &MemberName) -> Result<(), Error> {
        let mut path = self.0.clone();
        for part in name.as_str().split('/') {
            path.push(part);
            if path
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_symlink())
            {
                return Err(Error::new(Kind::MemberType, "a symbolic link"));
            }
        }
        Ok(())
    }
}
