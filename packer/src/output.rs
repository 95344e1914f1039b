//! Files that appear whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use crate::error::{Error, Result};
use crate::unfinished::Unfinished;

/// A file that appears under its name whole, or not at all.
///
/// It has no name while it is written (`O_TMPFILE`), so that even a killed build leaves nothing behind. Where the file
/// system can't do that, it has a hidden name which is removed on failure, and by [`unfinished::remove_all`](crate::unfinished::remove_all).
#[derive(Debug)]
pub struct Output {
    file: File,
    path: PathBuf,
    hidden: Option<Unfinished>,
}

impl Output {
    /// Opens a file that will be called `path`.
    ///
    /// # Errors
    /// The folder is missing or can't be written to.
    pub fn create(path: &Path) -> Result<Self> {
        Self::create_in(path, folder_of(path))
    }

    /// As [`Output::create`], but folders that are missing are made once the file gets its name.
    ///
    /// # Errors
    /// The nearest folder that is there can't be written to.
    pub fn create_deep(path: &Path) -> Result<Self> {
        let folder = path
            .ancestors()
            .skip(1)
            .find(|folder| !folder.as_os_str().is_empty() && folder.exists());
        Self::create_in(path, folder.unwrap_or(Path::new(".")))
    }

    fn create_in(path: &Path, folder: &Path) -> Result<Self> {
        if path.file_name().is_none() || path.is_dir() {
            return Err(Error::Usage(format!(
                "{}: an output is a file, not a folder",
                path.display()
            )));
        }
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open(folder, flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => Ok(Self {
                file: file.into(),
                path: path.to_owned(),
                hidden: None,
            }),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
                Self::create_hidden(path, folder)
            }
            Err(error) => Err(Error::io(folder, "create a file in this folder")(error.into())),
        }
    }

    fn create_hidden(path: &Path, folder: &Path) -> Result<Self> {
        let hidden = hidden_name(path, folder);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            // Nobody reads it by its hidden name: it may never be vouched for.
            .mode(0o600)
            .open(&hidden)
            .map_err(Error::io(&hidden, "create"))?;
        let hidden = Unfinished::of(hidden);
        Ok(Self {
            file,
            path: path.to_owned(),
            hidden: Some(hidden),
        })
    }

    /// The file to write to.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Makes the bytes durable.
    ///
    /// # Errors
    /// The disk is full or failing.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(Error::io(&self.path, "write"))
    }

    /// The outermost of the folders that are missing on the file's way.
    #[must_use]
    pub fn new_folder(&self) -> Option<PathBuf> {
        let missing = self
            .path
            .ancestors()
            .skip(1)
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        missing.last().map(Path::to_owned)
    }

    /// Makes the bytes durable and gives them their name, in place of whatever had it.
    ///
    /// # Errors
    /// The disk is full or failing; the old file, if any, is then still there.
    pub fn commit(mut self) -> Result<()> {
        if self.hidden.is_some() {
            let permissions = fs::Permissions::from_mode(0o666 & !umask());
            self.file
                .set_permissions(permissions)
                .map_err(Error::io(&self.path, "set the mode of"))?;
        }
        self.sync()?;
        let folder = folder_of(&self.path);
        fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
        let hidden = match self.hidden.take() {
            Some(hidden) => hidden,
            None => self
                .link_hidden()
                .map_err(Error::io(&self.path, "name the finished file"))?,
        };
        hidden
            .rename(&self.path)
            .map_err(Error::io(&self.path, "put in place"))?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(Error::io(folder, "sync"))
    }

    /// linkat(2) replaces nothing, so the file is first linked under a hidden name and then renamed.
    fn link_hidden(&self) -> io::Result<Unfinished> {
        use std::os::fd::AsRawFd;
        let hidden = Unfinished::of(hidden_name(&self.path, folder_of(&self.path)));
        let from = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match rustix::fs::linkat(CWD, &from, CWD, hidden.path(), AtFlags::SYMLINK_FOLLOW) {
            Err(rustix::io::Errno::EXIST) => {
                fs::remove_file(hidden.path())?;
                rustix::fs::linkat(CWD, &from, CWD, hidden.path(), AtFlags::SYMLINK_FOLLOW)?;
            }
            outcome => outcome?,
        }
        Ok(hidden)
    }
}

/// What new files are created without: the system tells it in octal.
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o077)
}

/// Tells hidden names apart, of which several may stand in one folder.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn hidden_name(path: &Path, folder: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{count}.part", std::process::id()));
    folder.join(name)
}

/// Writes a small file whole or not at all.
///
/// # Errors
/// As [`Output::create`] and [`Output::commit`].
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut output = Output::create(path)?;
    io::Write::write_all(output.file(), bytes).map_err(Error::io(path, "write"))?;
    output.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    }

    fn hidden(path: &Path) -> Result<Output> {
        Output::create_hidden(path, folder_of(path))
    }

    #[test]
    fn folders_are_made_with_the_first_file_that_gets_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/x.raw");
        let output = Output::create_deep(&path).unwrap();
        assert!(names(folder.path()).is_empty());
        output.commit().unwrap();
        assert!(path.exists());
    }

    #[test]
    fn an_output_that_is_not_committed_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.ova");
        for create in [Output::create, hidden] {
            let mut output = create(&path).unwrap();
            output.file().write_all(b"half").unwrap();
            drop(output);
            assert!(names(folder.path()).is_empty());
        }
    }

    #[test]
    fn nobody_else_reads_a_hidden_file_and_its_mode_is_a_new_file_s_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let (path, plain) = (folder.path().join("x"), folder.path().join("plain"));
        let output = hidden(&path).unwrap();
        assert_eq!(mode(output.hidden.as_ref().unwrap().path()), 0o600);
        output.commit().unwrap();
        fs::write(&plain, b"").unwrap();
        assert_eq!(mode(&path), mode(&plain));
    }

    #[test]
    fn a_committed_output_replaces_the_old_file_and_nothing_else_remains() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.ova");
        for (create, text) in [(Output::create as fn(&Path) -> _, "one"), (hidden, "two")] {
            let mut output: Output = create(&path).unwrap();
            output.file().write_all(text.as_bytes()).unwrap();
            output.commit().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(names(folder.path()), ["x.ova"]);
        }
    }
}
