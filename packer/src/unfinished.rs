//! What must not stay behind: temporary files and folders that go when they are dropped, and when a signal ends the process.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use crate::error::{Error, Result};

/// All of this process.
static ALL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes all of it: for a process that is about to end by a signal. Nothing can be begun after it.
pub fn remove_all() {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    for path in all.drain(..).rev() {
        // Other threads work on until the process ends: what is moved aside they don't find.
        let aside = path.with_extension("gone");
        let path = fs::rename(&path, &aside).map_or(path, |()| aside);
        for _ in 0..3 {
            remove(&path);
        }
    }
    std::mem::forget(all);
}

/// A file, or a folder with all that is in it.
#[derive(Debug)]
pub(crate) struct Unfinished(PathBuf);

impl Unfinished {
    /// Answers for what has just been made.
    pub(crate) fn of(path: PathBuf) -> Self {
        ALL.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(path.clone());
        Self(path)
    }

    /// A new folder among the temporary files.
    pub(crate) fn folder() -> Result<Self> {
        Self::folder_in(&std::env::temp_dir(), ".ova-")
    }

    /// A new folder in another.
    pub(crate) fn folder_in(parent: &Path, prefix: &str) -> Result<Self> {
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(parent);
        let made = made.map_err(Error::io(parent, "create a folder"))?;
        Ok(Self::of(made.keep()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Lets it stay.
    pub(crate) fn keep(self) {
        let path = &self.0;
        ALL.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|known| known != path);
        std::mem::forget(self);
    }

    /// Gives it the name of what is finished.
    pub(crate) fn rename(self, path: &Path) -> io::Result<()> {
        fs::rename(&self.0, path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|path| *path != self.0);
        remove(&self.0);
    }
}

/// After a failure nothing better can be done, and what was renamed is no longer there.
fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => drop(fs::remove_dir_all(path)),
        Ok(_) => drop(fs::remove_file(path)),
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_go_unless_they_get_a_name() {
        let folder = Unfinished::folder().unwrap();
        let (inner, path) = (folder.path().join("inner"), folder.path().to_owned());
        fs::create_dir(&inner).unwrap();
        let file = Unfinished::of(inner.join("file"));
        fs::write(file.path(), b"x").unwrap();
        file.rename(&path.join("kept")).unwrap();
        Unfinished::of(path.join("kept")).keep();
        assert!(path.join("kept").exists() && !inner.join("file").exists());
        drop(Unfinished::of(inner.clone()));
        assert!(!inner.exists());
        drop(folder);
        assert!(!path.exists());
    }
}
