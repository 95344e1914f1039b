//! Where a guest is plugged in: `ova run` has the package's own adapters alone, and a plug is one more, before them.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

/// Stands in for QEMU, which it starts with more arguments.
pub struct Plug {
    folder: TempDir,
}

impl Plug {
    /// An adapter with this hardware address at what a `-netdev` says; `more` may name it by `plug`.
    pub fn new(netdev: &str, hardware: [u8; 6], more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hardware = hardware.map(|byte| format!("{byte:02x}")).join(":");
        // Those that come first have the first slots.
        let script = format!(
            "#!/bin/sh\n\
             PATH='{}'\n\
             exec qemu-system-x86_64 -netdev {netdev},id=plug {more} \
             -device virtio-net-pci,netdev=plug,mac={hardware},romfile= \"$@\"\n",
            std::env::var("PATH").unwrap(),
        );
        let program = folder.path().join("qemu-system-x86_64");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder }
    }

    /// Where programs are looked for, so that QEMU is started with this.
    pub(crate) fn path(&self) -> OsString {
        let mut path = self.folder.path().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        path
    }
}
