//! The environment on a CD-ROM: `ovf-env.xml` in the root of an ISO 9660 volume (DSP0243 section 11.1).

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::error::{Error, Kind, Result};
use crate::{file, log};

const NAME: &str = "ovf-env.xml";
const MOUNT_POINT: &str = "/run/vcc/cdrom";

/// The document on the first drive that has one, at most `limit` bytes; none without a drive, a disc or the file.
pub(super) fn read(limit: usize) -> Result<Option<Vec<u8>>> {
    for drive in drives() {
        match read_disc(&drive, limit) {
            Ok(None) => {}
            found => return found,
        }
    }
    Ok(None)
}

fn drives() -> Vec<PathBuf> {
    let names = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let mut names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    names.retain(|name| name.to_string_lossy().starts_with("sr"));
    names.sort();
    names.iter().map(|name| Path::new("/dev").join(name)).collect()
}

fn read_disc(drive: &Path, limit: usize) -> Result<Option<Vec<u8>>> {
    std::fs::create_dir_all(MOUNT_POINT).map_err(|e| Error::file(MOUNT_POINT.as_ref(), "make", e))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match mount(drive, MOUNT_POINT, "iso9660", flags, None) {
        Ok(()) => {}
        // An empty drive, or a disc of another kind.
        Err(Errno::NOMEDIUM | Errno::INVAL) => return Ok(None),
        Err(error) => {
            let failure = Error::new(
                Kind::Environment,
                drive.display().to_string(),
                "the disc cannot be read",
            );
            return Err(failure.because(error));
        }
    }
    let found = match named(Path::new(MOUNT_POINT)) {
        Some(path) => file::read(&path, limit).map(Some),
        None => Ok(None),
    };
    if let Err(error) = unmount(MOUNT_POINT, UnmountFlags::DETACH) {
        log::warn(format_args!("{MOUNT_POINT}: cannot unmount: {error}"));
    }
    found
}

/// The file whatever its case: a plain ISO 9660 volume has capitals alone.
fn named(directory: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(directory).ok()?.flatten();
    let mut paths = entries
        .filter(|entry| entry.file_name().eq_ignore_ascii_case(NAME))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path());
    paths.next()
}
