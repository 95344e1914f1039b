//! An open folder: what is in it is reached from its handle, name by name, and no link is followed.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, RenameFlags, fchmod, fsync, mkdirat, openat, renameat, renameat_with,
    unlinkat,
};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};

/// A folder. Its path is for messages alone.
#[derive(Debug)]
pub(super) struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
// A pipe in a file's place would be waited for.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

impl Folder {
    /// The folder at a path of ours, in which links may be.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let flags = FOLDER.difference(OFlags::NOFOLLOW);
        let handle = rustix::fs::open(path, flags, Mode::empty());
        Ok(Self {
            handle: handle.map_err(|error| Error::file(path, "open", error.into()))?,
            path: path.to_owned(),
        })
    }

    /// A folder in this one, made if there is none.
    pub(super) fn make(&self, name: &str) -> Result<Self> {
        match mkdirat(&self.handle, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => self.open_folder(name),
            Err(error) => Err(self.failed(name, "make the folder", error)),
        }
    }

    /// A new folder in this one.
    ///
    /// # Errors
    /// [`Kind::Taken`] and what the system says.
    pub(super) fn create_folder(&self, name: &str) -> Result<Self> {
        mkdirat(&self.handle, name, Mode::RWXU)
            .map_err(|error| self.failed(name, "make the folder", error))?;
        self.open_folder(name)
    }

    /// A folder in this one.
    ///
    /// # Errors
    /// [`Kind::Unknown`] and what the system says.
    pub(super) fn open_folder(&self, name: &str) -> Result<Self> {
        let handle = openat(&self.handle, name, FOLDER, Mode::empty());
        Ok(Self {
            handle: handle.map_err(|error| self.failed(name, "open", error))?,
            path: self.path.join(name),
        })
    }

    /// A new file of mode 0600, to be read and written.
    pub(super) fn create_file(&self, name: &str) -> Result<File> {
        self.file(name, FILE | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)
    }

    /// A file to be read and written, also where it was read-only.
    pub(super) fn open_file_to_write(&self, name: &str) -> Result<File> {
        let (file, _) = self.open_file(name)?;
        fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(|error| self.failed(name, "open", error))?;
        self.file(name, FILE | OFlags::RDWR)
    }

    /// A file to be read, and its length.
    pub(super) fn open_file(&self, name: &str) -> Result<(File, u64)> {
        let file = self.file(name, FILE | OFlags::RDONLY)?;
        let length = self.length(name, &file)?;
        Ok((file, length))
    }

    fn file(&self, name: &str, flags: OFlags) -> Result<File> {
        let file = openat(&self.handle, name, flags, Mode::RUSR | Mode::WUSR);
        file.map(File::from)
            .map_err(|error| self.failed(name, "open", error))
    }

    fn length(&self, name: &str, file: &File) -> Result<u64> {
        let data = file
            .metadata()
            .map_err(|error| Error::file(&self.path(name), "look at", error))?;
        match data.is_file() {
            true => Ok(data.len()),
            false => Err(Error::new(
                Kind::StateCorrupt,
                self.path(name).display().to_string(),
                "is no file",
            )),
        }
    }

    /// Replaces a small file so that after a crash either the old or the new contents are there, whole.
    pub(super) fn replace_durably(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let temporary = format!("{name}.new");
        let mut file = self.file(&temporary, FILE | OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|error| Error::file(&self.path(name), "write", error))?;
        renameat(&self.handle, &temporary, &self.handle, name)
            .map_err(|error| self.failed(name, "write", error))?;
        self.sync()
    }

    /// Moves a file into another folder.
    ///
    /// # Errors
    /// [`Kind::Taken`] where the name is in use, and what the system says.
    pub(super) fn move_new(&self, name: &str, to: &Self, new: &str) -> Result<()> {
        let moved = renameat_with(&self.handle, name, &to.handle, new, RenameFlags::NOREPLACE);
        match moved {
            // Not every file system knows the flag.
            Err(Errno::INVAL | Errno::NOSYS) => match to.open_file(new) {
                Err(error) if error.kind() == Kind::Unknown => self.move_over(name, to, new),
                Err(error) => Err(error),
                Ok(_) => Err(to.failed(new, "write", Errno::EXIST)),
            },
            moved => moved.map_err(|error| to.failed(new, "write", error)),
        }
    }

    /// Moves a file into another folder, in the place of what is there.
    pub(super) fn move_over(&self, name: &str, to: &Self, new: &str) -> Result<()> {
        renameat(&self.handle, name, &to.handle, new).map_err(|error| to.failed(new, "write", error))
    }

    /// Removes a file; that there is none is no error.
    pub(super) fn remove_file(&self, name: &str) -> Result<()> {
        match unlinkat(&self.handle, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed(name, "remove", error)),
        }
    }

    /// Removes an empty folder; that there is none is no error.
    pub(super) fn remove_folder(&self, name: &str) -> Result<()> {
        match unlinkat(&self.handle, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed(name, "remove", error)),
        }
    }

    /// What is in it, in no order. A name that is no text is none of ours.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        let failed = |error| self.failed("", "list", error);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }

    /// Makes the names in it durable.
    pub(super) fn sync(&self) -> Result<()> {
        fsync(&self.handle).map_err(|error| self.failed("", "synchronise", error))
    }

    /// Where something in it is, for messages.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn failed(&self, name: &str, what: &str, error: Errno) -> Error {
        let path = self.path(name);
        let place = path.display().to_string();
        match error {
            Errno::NOENT => Error::new(Kind::Unknown, place, "is not there"),
            Errno::EXIST => Error::new(Kind::Taken, place, "is there already"),
            error => Error::file(&path, what, error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_is_followed_and_no_pipe_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("file"), "theirs").unwrap();
        symlink(other.path(), directory.path().join("folder")).unwrap();
        symlink(other.path().join("file"), directory.path().join("file")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, directory.path().join("pipe"), Mode::RWXU).unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        assert!(folder.make("folder").is_err() && folder.open_folder("folder").is_err());
        assert!(folder.open_file("file").is_err() && folder.open_file_to_write("file").is_err());
        for pipe in [
            folder.open_file("pipe").map(|_| ()),
            folder.open_file_to_write("pipe").map(|_| ()),
        ] {
            assert_eq!(pipe.unwrap_err().kind(), Kind::StateCorrupt);
        }
        // The name that a file is replaced by way of.
        symlink(other.path().join("file"), directory.path().join("record.new")).unwrap();
        assert!(folder.replace_durably("record", b"ours").is_err());
        assert_eq!(std::fs::read(other.path().join("file")).unwrap(), b"theirs");
    }
}
