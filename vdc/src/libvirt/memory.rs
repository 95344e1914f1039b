//! Files in memory that virsh reads and writes by a name of this process's.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::error::{Error, Kind, Result};

/// An empty one.
pub(super) fn empty() -> Result<File> {
    let made = memfd_create("ova", MemfdFlags::CLOEXEC);
    made.map(File::from).map_err(|error| failed(error.into()))
}

/// One with this in it.
pub(super) fn holding(bytes: &[u8]) -> Result<File> {
    let mut file = empty()?;
    file.write_all(bytes).map_err(failed)?;
    Ok(file)
}

/// The option by which virsh opens it, as long as it stays open here.
pub(super) fn option(file: &File) -> String {
    format!("--file={}", path(file))
}

/// The option by which virsh takes it as a machine's definition.
pub(super) fn definition(file: &File) -> String {
    format!("--xml={}", path(file))
}

fn path(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

pub(super) fn failed(error: std::io::Error) -> Error {
    Error::new(
        Kind::Disk,
        "",
        "what goes to or comes from the target can't be held in memory",
    )
    .because(error)
}
