//! The file systems that live in memory.

use std::ffi::CStr;

use rustix::mount::{MountFlags, mount, mount_remount};

use crate::error::{Error, Kind, Result};

struct Mount {
    kind: &'static str,
    target: &'static str,
    flags: MountFlags,
    data: Option<&'static CStr>,
}

const STRICT: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

const MOUNTS: [Mount; 4] = [
    Mount {
        kind: "proc",
        target: "/proc",
        flags: STRICT,
        data: None,
    },
    Mount {
        kind: "sysfs",
        target: "/sys",
        flags: STRICT,
        data: None,
    },
    Mount {
        kind: "devtmpfs",
        target: "/dev",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        data: Some(c"mode=0755"),
    },
    Mount {
        kind: "tmpfs",
        target: "/run",
        flags: STRICT,
        data: Some(c"mode=0755,size=16m,nr_inodes=4096"),
    },
];

/// Mounts them, and closes the root in memory for writing: what is not on a disk is in `/run` or nowhere. Gives what
/// failed; the machine goes on with what it has.
pub fn early() -> Vec<Error> {
    let mut failures: Vec<_> = MOUNTS.iter().filter_map(|m| m.mount().err()).collect();
    let run = std::fs::create_dir_all("/run/vcc");
    failures.extend(run.err().map(|e| Error::file("/run/vcc".as_ref(), "make", e)));
    let closed = mount_remount("/", MountFlags::RDONLY, "");
    failures.extend(
        closed
            .err()
            .map(|e| Error::file("/".as_ref(), "close for writing", e.into())),
    );
    failures
}

impl Mount {
    fn mount(&self) -> Result<()> {
        match mount(self.kind, self.target, self.kind, self.flags, self.data) {
            // The kernel may have mounted it itself.
            Ok(()) | Err(rustix::io::Errno::BUSY) => Ok(()),
            Err(error) => {
                Err(Error::new(Kind::Io, self.target, format!("cannot mount {}", self.kind)).because(error))
            }
        }
    }
}
