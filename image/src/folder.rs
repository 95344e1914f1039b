//! The folder in which the files that images name may lie.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::error::{Error, Kind, Place, Result};

/// An open folder. Files are reached from it name by name without following a link, whatever is moved meanwhile.
pub(crate) struct Folder {
    handle: OwnedFd,
    /// Its path without links.
    path: PathBuf,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let place = || Place::File(path.display().to_string());
        let real = path.canonicalize().map_err(|e| Error::io(place(), "find", e))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(&real, flags, Mode::empty());
        let handle = handle.map_err(|e| Error::io(place(), "open", e.into()))?;
        Ok(Self { handle, path: real })
    }

    /// Opens the regular file that the image at `image` calls `name`: a path, from the image's own folder if it is relative.
    /// Its links are followed to find it; what they lead to has to be inside.
    pub(crate) fn beside(&self, image: &Path, name: &str) -> Result<(File, PathBuf)> {
        let shown = format!("`{}`", name.escape_debug());
        let refuse = |reason: &str| Error::new(Kind::Unsupported, Place::Whole, format!("{shown}: {reason}"));
        if is_address(name) {
            return Err(refuse("not a file but some protocol's address"));
        }
        let failed = |e| Error::io(Place::Whole, &format!("find {shown}, which the image names"), e);
        let real = image.canonicalize().map_err(failed)?;
        let real = real.parent().unwrap_or(Path::new("/")).join(name);
        let real = real.canonicalize().map_err(failed)?;
        let within = real
            .strip_prefix(&self.path)
            .map_err(|_| refuse("the image names a file outside the folder that is allowed"))?;
        let file = self.walk(within).map_err(|e| failed(e.into()))?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(refuse("not a regular file"));
        }
        Ok((file, real))
    }

    fn walk(&self, within: &Path) -> Result<File, Errno> {
        let mut names = within.components().peekable();
        let mut here: Option<OwnedFd> = None;
        while let Some(Component::Normal(name)) = names.next() {
            let last = names.peek().is_none();
            // A pipe would be waited for.
            let kind = if last {
                OFlags::RDONLY | OFlags::NONBLOCK
            } else {
                OFlags::PATH | OFlags::DIRECTORY
            };
            let flags = kind | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = openat(here.as_ref().unwrap_or(&self.handle), name, flags, Mode::empty())?;
            if last {
                return Ok(next.into());
            }
            here = Some(next);
        }
        Err(Errno::ISDIR)
    }
}

/// Whether QEMU would take a name for something else than a path: letters, then a colon, before any slash.
fn is_address(name: &str) -> bool {
    let head = name.split('/').next().unwrap_or("");
    name.is_empty() || name.contains('\0') || head.contains(':')
}
