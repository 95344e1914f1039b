//! A disk of its own for what a node keeps.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};
use std::process::Command;

use super::people::Service;

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(done.unwrap().success());
}

/// A file system of its own, whose machine can lose power: what was not written through to its device is gone.
pub(crate) struct Store {
    folder: tempfile::TempDir,
    pub(crate) at: PathBuf,
}

impl Store {
    /// Puts a node's state on one of so many bytes; nothing where none can be mounted.
    pub(crate) fn under(service: &mut Service, bytes: u64) -> Option<Self> {
        let state = service.state.path().to_owned();
        service.kill();
        let aside = tempfile::tempdir().unwrap();
        copy(&state, aside.path());
        let store = Self::mount(&state, bytes);
        if store.is_none() {
            eprintln!("skipped: no file system can be mounted here");
            return None;
        }
        copy(aside.path(), &state);
        assert!(Command::new("sync").status().unwrap().success());
        service.start_again("node");
        store
    }

    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        let made = Command::new("mke2fs")
            .args(["-q", "-t", "ext4"])
            .arg(&image)
            .status();
        let store = Self {
            folder,
            at: at.to_owned(),
        };
        match made.is_ok_and(|made| made.success()) && store.attach() {
            true => Some(store),
            false => None,
        }
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn attach(&self) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(self.image()).arg(&self.at);
        mount.status().is_ok_and(|mounted| mounted.success())
    }

    fn detach(&self) {
        let mut umount = Command::new("umount");
        umount.arg(&self.at);
        assert!(umount.status().unwrap().success());
    }

    /// The device as it is at this moment, without what waits in memory to be written to it.
    pub(crate) fn lose_power(&self) {
        let snapshot = self.folder.path().join("snapshot");
        let mut copy = Command::new("cp");
        copy.arg("--sparse=always").arg(self.image()).arg(&snapshot);
        assert!(copy.status().unwrap().success());
        self.detach();
        std::fs::rename(&snapshot, self.image()).unwrap();
        assert!(self.attach());
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}
