//! Small files: read under a ceiling, replaced whole.

mod lock;
mod private;

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};

pub use lock::lock;
pub use private::PrivateFile;

/// Reads a file of at most `limit` bytes. Works for the files of procfs and sysfs too, which do not tell their size.
///
/// # Errors
/// [`Kind::Ceiling`] for a longer file, [`Kind::Io`] where it cannot be read.
pub fn read(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| Error::file(path, "open", e))?;
    let mut bytes = Vec::new();
    let ceiling = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(ceiling)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::file(path, "read", e))?;
    if bytes.len() > limit {
        let reason = format!("is longer than {limit} bytes");
        return Err(Error::new(Kind::Ceiling, path.display().to_string(), reason));
    }
    Ok(bytes)
}

/// Reads a text of at most 4096 bytes, as the kernel offers in procfs and sysfs, without the white space around it.
///
/// # Errors
/// As [`read`], and [`Kind::Malformed`] for bytes that are not UTF-8.
pub fn text(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let bytes = read(path, 4096)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(e) => Err(Error::new(Kind::Malformed, path.display().to_string(), "is not UTF-8").because(e)),
    }
}

/// Replaces `directory/name` so that after a crash either the old or the new contents are there, whole, and that the
/// new ones are once this returns.
///
/// # Errors
/// [`Kind::StateFull`], [`Kind::StateReadOnly`] or [`Kind::Io`]; the old contents are still there.
pub fn replace_durably(directory: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (temporary, path) = (directory.join(format!("{name}.new")), directory.join(name));
    let written = write_new(&temporary, bytes, 0o600).and_then(|file| file.sync_all());
    let renamed = written.and_then(|()| std::fs::rename(&temporary, &path));
    if let Err(error) = renamed {
        let _ = std::fs::remove_file(&temporary);
        return Err(Error::file(&path, "write", error));
    }
    sync_directory(directory)
}

/// Replaces `path` for readers on this machine at once, without waiting for a disk: for files in memory.
///
/// # Errors
/// [`Kind::Io`] and its like; the old contents are still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("new");
    write_new(&temporary, bytes, 0o644)
        .and_then(|_| std::fs::rename(&temporary, path))
        .map_err(|e| Error::file(path, "write", e))
}

/// Makes `root/name`, a directory for its owner alone, with these files in it; after a crash all of it is there or nothing.
///
/// # Errors
/// [`Kind::StateFull`], [`Kind::StateReadOnly`] or [`Kind::Io`].
pub fn create_directory(root: &Path, name: &str, files: &[(&str, String)]) -> Result<()> {
    let (temporary, path) = (root.join(format!("{name}.new")), root.join(name));
    let failed = |e| Error::file(&path, "write", e);
    let mode = Permissions::from_mode(0o700);
    let written = DirBuilder::new()
        .mode(0o700)
        .create(&temporary)
        .and_then(|()| std::fs::set_permissions(&temporary, mode))
        .and_then(|()| {
            files.iter().try_for_each(|(name, text)| {
                write_new(&temporary.join(name), text.as_bytes(), 0o600)?.sync_all()
            })
        });
    if let Err(error) = written {
        let _ = std::fs::remove_dir_all(&temporary);
        return Err(failed(error));
    }
    sync_directory(&temporary)?;
    std::fs::rename(&temporary, &path).map_err(failed)?;
    sync_directory(root)
}

/// Gives a file another name; one of that name that is there already, or came meanwhile, stays.
///
/// # Errors
/// [`Kind::Taken`], [`Kind::Io`] and its like.
pub fn rename_new(file: &Path, name: &Path) -> Result<()> {
    match renameat_with(CWD, file, CWD, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) => Err(is_there(name)),
        // Not every file system knows the flag.
        Err(Errno::INVAL | Errno::NOSYS) => {
            std::fs::rename(file, name).map_err(|error| Error::file(name, "write", error))
        }
        Err(error) => Err(Error::file(name, "write", error.into())),
    }
}

/// Sees that nothing has that name.
///
/// # Errors
/// [`Kind::Taken`].
pub fn demand_new(name: &Path) -> Result<()> {
    match name.symlink_metadata() {
        Ok(_) => Err(is_there(name)),
        Err(_) => Ok(()),
    }
}

fn is_there(name: &Path) -> Error {
    Error::new(Kind::Taken, name.display().to_string(), "is there already")
}

/// Makes the names in `directory` durable.
///
/// # Errors
/// [`Kind::Io`] and its like.
pub fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|e| Error::file(directory, "synchronise", e))
}

/// Writes a file anew, whatever was there under that name.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_above_its_ceiling_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, [0; 11]).unwrap();
        assert_eq!(read(&path, 10).unwrap_err().kind(), Kind::Ceiling);
        assert_eq!(read(&path, 11).unwrap().len(), 11);
    }

    #[test]
    fn a_replaced_file_has_the_new_contents_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        replace_durably(directory.path(), "boots", b"1\n").unwrap();
        replace_durably(directory.path(), "boots", b"2\n").unwrap();
        assert_eq!(read(&directory.path().join("boots"), 10).unwrap(), b"2\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_to_a_full_disk_says_full_and_keeps_the_old_contents() {
        // Every write to this device fails with ENOSPC.
        let error = std::fs::File::options().write(true).open("/dev/full");
        let error = error.and_then(|mut file| file.write_all(b"x")).unwrap_err();
        let path = Path::new("/dev/full");
        assert_eq!(Error::file(path, "write", error).kind(), Kind::StateFull);
    }
}
