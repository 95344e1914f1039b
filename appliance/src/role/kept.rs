//! `role` in an appliance's state directory: the role that was chosen with its set-up. It counts where no property names one,
//! and goes with a factory reset.

use std::path::Path;

use super::Role;
use crate::error::{Error, Kind, Result};
use crate::file;

/// The file's name. It holds the role's name and a newline.
pub const NAME: &str = "role";
const LIMIT: usize = 64;

/// Reads the file in `directory`; none if there is none.
///
/// # Errors
/// [`Kind::Malformed`] where it names no role; [`Kind::Ceiling`] above 64 bytes; [`Kind::Io`].
pub fn read(directory: &Path) -> Result<Option<Role>> {
    let path = directory.join(NAME);
    let malformed = |reason: &str| Error::new(Kind::Malformed, path.display().to_string(), reason);
    match std::fs::symlink_metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(&path, "look at", error)),
        Ok(found) if !found.is_file() => return Err(malformed("is no file")),
        Ok(_) => {}
    }
    let bytes = file::read(&path, LIMIT)?;
    let name = std::str::from_utf8(&bytes).unwrap_or_default();
    let role = name.trim().parse();
    role.map(Some).map_err(|reason: String| malformed(&reason))
}

/// Keeps a role in `directory`.
///
/// # Errors
/// [`Kind::StateFull`], [`Kind::StateReadOnly`] or [`Kind::Io`]; the former one is still kept.
pub fn write(directory: &Path, role: Role) -> Result<()> {
    file::replace_durably(directory, NAME, format!("{role}\n").as_bytes())
}

/// Forgets it.
///
/// # Errors
/// [`Kind::StateReadOnly`] or [`Kind::Io`].
pub fn remove(directory: &Path) -> Result<()> {
    let path = directory.join(NAME);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file(&path, "remove", error))
        }
        _ => file::sync_directory(directory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_a_removed_role_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
        for role in Role::ALL {
            write(folder.path(), role).unwrap();
            assert_eq!(read(folder.path()).unwrap(), Some(role));
        }
        remove(folder.path()).unwrap();
        remove(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), None);
    }

    #[test]
    fn a_file_that_names_no_role_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for (bytes, kind) in [
            (&b""[..], Kind::Malformed),
            (b"king\n", Kind::Malformed),
            (b"\xff\xfe", Kind::Malformed),
            (&[b' '; LIMIT + 1], Kind::Ceiling),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(read(folder.path()).unwrap_err().kind(), kind);
        }
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert_eq!(read(folder.path()).unwrap_err().kind(), Kind::Malformed);
    }
}
