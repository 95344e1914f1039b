//! Back to the first boot: the state disk's files are removed, at the next start and before anything reads them.
//!
//! A marker orders it and goes last, so that a removal that was cut off is gone on with by the next start: there is
//! never half a state. Files are removed and not overwritten; who hands the disk on destroys it.

use std::path::Path;

use crate::error::{Error, Result};
use crate::{file, log};

const MARKER: &str = "factory-reset";
/// The file system's own.
const LOST_AND_FOUND: &str = "lost+found";

/// Orders it for the next start.
///
/// # Errors
/// [`crate::error::Kind::StateReadOnly`] or [`crate::error::Kind::Io`]; nothing is removed then.
pub fn order(root: &Path) -> Result<()> {
    // A disk that is full has room for an empty file's name nearly always, and for more after the removal.
    file::write_new(&root.join(MARKER), b"", 0o600)
        .and_then(|file| file.sync_all())
        .map_err(|e| Error::file(&root.join(MARKER), "write", e))?;
    file::sync_directory(root)
}

/// Does what was ordered; false if nothing was.
///
/// # Errors
/// [`crate::error::Kind::StateReadOnly`] or [`crate::error::Kind::Io`]; the order stands.
pub fn finish(root: &Path) -> Result<bool> {
    let marker = root.join(MARKER);
    match std::fs::symlink_metadata(&marker) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::file(&marker, "look at", error)),
    }
    log::info("factory reset: the state is removed");
    let entries = std::fs::read_dir(root).map_err(|e| Error::file(root, "list", e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::file(root, "list", e))?;
        let name = entry.file_name();
        if name == MARKER || name == LOST_AND_FOUND {
            continue;
        }
        let path = entry.path();
        // What a link leads to is left alone: its own kind is asked for.
        let removed = entry.file_type().and_then(|kind| match kind.is_dir() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        });
        removed.map_err(|e| Error::file(&path, "remove", e))?;
    }
    file::sync_directory(root)?;
    std::fs::remove_file(&marker).map_err(|e| Error::file(&marker, "remove", e))?;
    file::sync_directory(root)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(root: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(root).unwrap();
        let mut names: Vec<_> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn everything_goes_and_only_after_an_order() {
        let folder = tempfile::tempdir().unwrap();
        let (root, other) = (folder.path().join("state"), folder.path().join("other"));
        std::fs::create_dir_all(root.join("identity/keys")).unwrap();
        std::fs::create_dir_all(root.join(LOST_AND_FOUND)).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("kept"), "").unwrap();
        std::os::unix::fs::symlink(&other, root.join("link")).unwrap();
        std::fs::write(root.join("vcc.db"), "x").unwrap();
        assert!(!finish(&root).unwrap());
        assert_eq!(names(&root).len(), 4);

        order(&root).unwrap();
        assert!(finish(&root).unwrap());
        assert_eq!(names(&root), [LOST_AND_FOUND]);
        assert_eq!(names(&other), ["kept"]);
        assert!(!finish(&root).unwrap());
    }

    #[test]
    fn a_removal_that_was_cut_off_anywhere_is_gone_on_with() {
        // Whatever the order in which files went, the marker is there as long as any of them is.
        let all = ["boots", "identity", "vcc.db", "vcc.db-wal"];
        for left in 0..=all.len() {
            let folder = tempfile::tempdir().unwrap();
            order(folder.path()).unwrap();
            for name in &all[..left] {
                std::fs::write(folder.path().join(name), "").unwrap();
            }
            assert!(finish(folder.path()).unwrap());
            assert_eq!(names(folder.path()), Vec::<String>::new());
        }
    }

    #[test]
    fn without_a_directory_nothing_is_ordered_and_nothing_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("gone");
        assert!(order(&root).is_err());
        assert!(!finish(&root).unwrap());
    }
}
