//! The state directory: what outlives a restart.
//!
//! ```text
//! DIR/vcc.db                          the database
//! DIR/lock                            held by the one process that uses the directory
//! DIR/boots                           starts of this machine, in decimal
//! DIR/clock                           seconds since 1970 when an appliance last told, in decimal
//! DIR/last-start.json                 what an appliance was last time, by PID 1
//! DIR/properties.json                 what an appliance was given when that could last be read, by PID 1
//! DIR/identity/{instance-id,key.pem,cert.pem}
//! DIR/logs/                           an appliance's log, by PID 1
//! DIR/blobs/OWNER/ab/DIGEST           large files, by what is in them
//! DIR/quarantine/OWNER/ID/            large files that are being received
//! DIR/replaced-TIME/                  what a restore replaced
//! ```
//!
//! Whoever brings the directory up counts the boot: PID 1 in an appliance, where a service that died is not a new
//! boot, and the service itself everywhere else.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, StatVfsMountFlags, fstatvfs, statvfs};

use crate::check::{Check, STATE_DISK};
use crate::error::{Error, Kind, Result};
use crate::{backup, file};

const BOOTS: &str = "boots";
const LEFT_OVER: &str = ".new";
/// Below this many bytes, or one in a hundred, the disk counts as full: a database wants to end its transaction.
const LEAST_SPACE: u64 = 1 << 20;

/// A state directory in use by this process alone.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// None on a disk that takes no lock file because it is full or read-only: what is there can still be read.
    lock: Option<OwnedFd>,
}

/// How a boot was counted.
#[derive(Debug)]
pub struct Boot {
    /// The number of this boot, from 1.
    pub number: u64,
    /// Whether that is now on the disk.
    pub recorded: Result<()>,
}

/// Room on the file system that holds the state, as its superuser sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub total: u64,
    /// Bytes free for use; what the file system keeps back for its superuser is not.
    pub available: u64,
    /// Files that can still be made; `None` where the file system does not count them.
    pub files: Option<u64>,
    /// The file system cannot be written.
    pub read_only: bool,
}

impl Store {
    /// Makes the directory (mode 0700) where it is missing, takes its lock and sweeps what a crash left half done.
    ///
    /// # Errors
    /// [`Kind::StateLocked`] while another process has it, [`Kind::Io`] where it cannot be made or read. A full or
    /// read-only disk is no error as long as the directory exists: see [`Store::check`].
    pub fn open(root: &Path) -> Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(|e| Error::file(root, "make the directory", e))?;
        let lock = match lock(&root.join("lock")) {
            Ok(lock) => Some(lock),
            Err(e) if matches!(e.kind(), Kind::StateFull | Kind::StateReadOnly) => None,
            Err(e) => return Err(e),
        };
        sweep(root);
        // A backup that was checked and not yet moved into place is the state.
        backup::finish(root)?;
        Ok(Self {
            root: root.to_owned(),
            lock,
        })
    }

    /// Refuses a directory whose lock could not be made.
    ///
    /// # Errors
    /// [`Kind::StateReadOnly`].
    pub fn demand_lock(&self) -> Result<()> {
        match self.lock {
            Some(_) => Ok(()),
            None => {
                let place = self.root.display().to_string();
                Err(Error::new(
                    Kind::StateReadOnly,
                    place,
                    "the disk is full or read-only",
                ))
            }
        }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Counts this start of the machine.
    ///
    /// # Errors
    /// As [`count_boot`].
    pub fn count_boot(&self) -> Result<Boot> {
        count_boot(&self.root)
    }

    /// The state of the directory's file system right now.
    pub fn check(&self) -> Check {
        match Space::of(&self.root) {
            Ok(space) => space.check(),
            Err(error) => Check::fail(
                STATE_DISK,
                error.chain().to_string(),
                "Check the state disk's connection and restart.",
            ),
        }
    }
}

/// Counts one more start in `root`. The write is the proof that the disk takes writes, at every boot.
///
/// # Errors
/// [`Kind::StateCorrupt`] for a counter that is not a number, [`Kind::Io`] for one that cannot be read. A counter that
/// cannot be written is no error here: see [`Boot::recorded`].
pub fn count_boot(root: &Path) -> Result<Boot> {
    let number = boots(root)?.saturating_add(1);
    let recorded = file::replace_durably(root, BOOTS, format!("{number}\n").as_bytes());
    Ok(Boot { number, recorded })
}

/// Reads the number of boots so far; 0 in a new directory.
///
/// # Errors
/// As [`count_boot`].
pub fn boots(root: &Path) -> Result<u64> {
    let path = root.join(BOOTS);
    if !path.exists() {
        return Ok(0);
    }
    let text = file::text(&path)?;
    text.parse()
        .map_err(|e| Error::new(Kind::StateCorrupt, path.display().to_string(), "is not a number").because(e))
}

impl Space {
    /// Asks the file system that `path` is on.
    ///
    /// # Errors
    /// [`Kind::Io`].
    pub fn of(path: &Path) -> Result<Self> {
        let found = statvfs(path).map_err(|e| Error::file(path, "look at the space left", e.into()))?;
        Ok(Self::from(found))
    }

    /// Asks the file system that an open file is on.
    ///
    /// # Errors
    /// What the system says.
    pub fn around(file: impl AsFd) -> std::io::Result<Self> {
        Ok(Self::from(fstatvfs(file)?))
    }

    /// Whether so many bytes more leave the database what it needs: a large file may not fill a disk that others live on.
    pub fn takes(&self, bytes: u64) -> bool {
        let rest = self.available.checked_sub(bytes);
        rest.is_some_and(|rest| rest >= self.least().saturating_mul(2))
    }

    fn least(&self) -> u64 {
        LEAST_SPACE.max(self.total / 100)
    }

    /// What this means for readiness.
    pub fn check(&self) -> Check {
        if self.read_only {
            return Check::fail(
                STATE_DISK,
                "the state disk is read-only, as after a disk error",
                "Check the disk and the host's storage, then restart; restore a backup if it stays so.",
            );
        }
        if self.available < self.least() || self.files == Some(0) {
            let left = mebibytes(self.available);
            return Check::fail(
                STATE_DISK,
                format!(
                    "the state disk is full ({left} of {} left)",
                    mebibytes(self.total)
                ),
                "Enlarge the state disk in the hypervisor and restart; it grows by itself.",
            );
        }
        Check::pass(STATE_DISK, format!("{} free", mebibytes(self.available)))
    }
}

impl From<StatVfs> for Space {
    fn from(found: StatVfs) -> Self {
        Self {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            available: found.f_bavail.saturating_mul(found.f_frsize),
            files: (found.f_files > 0).then_some(found.f_favail),
            read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

fn lock(path: &Path) -> Result<OwnedFd> {
    let file = file::write_new(path, &[], 0o600).map_err(|e| Error::file(path, "make", e))?;
    match file::lock(&file) {
        Ok(true) => Ok(file.into()),
        Ok(false) => Err(Error::new(
            Kind::StateLocked,
            path.display().to_string(),
            "another process uses this state directory",
        )),
        Err(e) => Err(Error::file(path, "lock", e)),
    }
}

/// Removes half-made replacements; one that stays is in nobody's way.
fn sweep(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().ends_with(LEFT_OVER) {
            let path = entry.path();
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    const ROOMY: Space = Space {
        total: 1 << 30,
        available: 1 << 29,
        files: Some(1000),
        read_only: false,
    };

    #[test]
    fn every_boot_counts_one_more_and_survives_reopening() {
        let directory = tempfile::tempdir().unwrap();
        for expected in 1..4 {
            let store = Store::open(directory.path()).unwrap();
            let boot = store.count_boot().unwrap();
            assert!(boot.recorded.is_ok());
            assert_eq!(boot.number, expected);
        }
    }

    #[test]
    fn a_damaged_counter_is_named_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(BOOTS), "many").unwrap();
        assert_eq!(
            count_boot(directory.path()).unwrap_err().kind(),
            Kind::StateCorrupt
        );
        assert_eq!(file::text(directory.path().join(BOOTS)).unwrap(), "many");
    }

    #[test]
    fn a_second_process_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Store::open(directory.path()).unwrap();
        assert_eq!(
            Store::open(directory.path()).unwrap_err().kind(),
            Kind::StateLocked
        );
    }

    #[test]
    fn what_a_crash_left_half_written_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("boots.new"), "7").unwrap();
        std::fs::create_dir_all(directory.path().join("identity.new/deep")).unwrap();
        let _store = Store::open(directory.path()).unwrap();
        assert!(!directory.path().join("boots.new").exists());
        assert!(!directory.path().join("identity.new").exists());
    }

    #[test]
    fn too_little_space_no_files_or_no_writing_fails_the_check() {
        assert_eq!(ROOMY.check().status, Outcome::Pass);
        let below_a_hundredth = Space {
            available: 10 << 20,
            ..ROOMY
        };
        let no_files = Space {
            files: Some(0),
            ..ROOMY
        };
        let read_only = Space {
            read_only: true,
            ..ROOMY
        };
        for space in [below_a_hundredth, no_files, read_only] {
            assert_eq!(space.check().status, Outcome::Fail, "{space:?}");
        }
        assert!(below_a_hundredth.check().reason.contains("full"));
    }

    #[test]
    fn a_large_file_leaves_the_disk_twice_of_what_counts_as_full() {
        let least = ROOMY.total / 100;
        assert!(ROOMY.takes(ROOMY.available - 2 * least));
        assert!(!ROOMY.takes(ROOMY.available - 2 * least + 1));
        assert!(!ROOMY.takes(u64::MAX));
    }
}
