//! A file for its owner alone that appears whole or not at all, wherever it goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::{rename_new, sync_directory};
use crate::error::{Error, Result};

/// A file that has no name of its own until it is kept; dropped before, it leaves nothing.
#[derive(Debug)]
pub struct PrivateFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
}

impl PrivateFile {
    /// Begins the file that will be at `path`, of mode 0600: what can't be written is known before there is anything to write.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::error::Kind::Io) and its like.
    pub fn create(path: &Path) -> Result<Self> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        // Where others may write too, they can't have been there first.
        name.push(format!(".{}", Uuid::new_v4().simple()));
        let temporary = path.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|error| Error::file(path, "write", error))?;
        Ok(Self {
            file,
            temporary,
            path: path.to_owned(),
        })
    }

    /// Gives what was written its name, durably; a file that was there is replaced only if that is wanted.
    ///
    /// # Errors
    /// [`Kind::Taken`](crate::error::Kind::Taken), [`Kind::Io`](crate::error::Kind::Io) and its like.
    pub fn finish(self, replace: bool) -> Result<()> {
        self.file
            .sync_all()
            .map_err(|error| Error::file(&self.path, "write", error))?;
        match replace {
            true => std::fs::rename(&self.temporary, &self.path)
                .map_err(|error| Error::file(&self.path, "write", error))?,
            false => rename_new(&self.temporary, &self.path)?,
        }
        match self.path.parent() {
            Some(parent) if parent != Path::new("") => sync_directory(parent),
            _ => sync_directory(Path::new(".")),
        }
    }

    /// Gives it its contents and its name; a file that was there is replaced.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::error::Kind::Io) and its like; what was there is still there.
    pub fn keep(mut self, bytes: &[u8]) -> Result<()> {
        self.put(bytes)?;
        self.finish(true)
    }

    /// Gives it its contents and its name; a file that was there stays.
    ///
    /// # Errors
    /// [`Kind::Taken`](crate::error::Kind::Taken), [`Kind::Io`](crate::error::Kind::Io) and its like.
    pub fn keep_new(mut self, bytes: &[u8]) -> Result<()> {
        self.put(bytes)?;
        self.finish(false)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| Error::file(&self.path, "write", error))
    }
}

impl Write for PrivateFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::error::Kind;

    #[test]
    fn it_is_its_owner_s_alone_and_is_there_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, "old").unwrap();
        drop(PrivateFile::create(&path).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        PrivateFile::create(&path).unwrap().keep(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let late = PrivateFile::create(&path).unwrap().keep_new(b"newer");
        assert_eq!(late.unwrap_err().kind(), Kind::Taken);
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(PrivateFile::create(&directory.path().join("none/secret")).is_err());
    }
}
