//! A folder of the file system.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::{Folder, FolderFile};
use crate::error::{Error, Kind};
use crate::package::MemberName;

/// A folder of the file system, from which no link leads out.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Folder for Directory {
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, Error> {
        let Some(file) = self.file(name)? else {
            return Ok(None);
        };
        let metadata = file
            .metadata()
            .map_err(|error| Error::io("opening the file", error))?;
        Ok(Some(FolderFile {
            size: metadata.len(),
            body: Box::new(file),
        }))
    }
}

/// Linux's `O_NONBLOCK`: a pipe in place of a file would be waited for.
const NONBLOCK: i32 = 0o4000;

impl Directory {
    /// The folder at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Opens a regular file; none if it is not there.
    ///
    /// # Errors
    /// [`Kind::MemberType`] for links and for what is no regular file; [`Kind::Io`].
    pub fn file(&self, name: &MemberName) -> Result<Option<File>, Error> {
        let failed = |error: io::Error| Error::io("opening the file", error);
        self.refuse_links(name)?;
        let opened = File::options()
            .read(true)
            .custom_flags(NONBLOCK)
            .open(name.under(&self.0));
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Error::new(Kind::MemberType, "not a regular file"));
        }
        Ok(Some(file))
    }

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
