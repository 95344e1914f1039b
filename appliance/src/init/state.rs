//! The state disk: found by its label, grown to its device, mounted, counted; never formatted.
//!
//! All of it happens in a thread of its own for each look: replaying a journal can take longer than a watchdog waits.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;

use image::ext4::{LENGTH, OFFSET, Superblock};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use uuid::Uuid;

use super::environment::Given;
use super::event::Event;
use super::factory_reset;
use super::kept_network::Kept;
use super::kept_role;
use super::last_start::LastStart;
use crate::check::{Check, STATE_DISK};
use crate::error::{Error, Kind, Result};
use crate::{file, log, service, store};

/// Where it is mounted.
pub const MOUNT_POINT: &str = "/state";
/// Its kind, which is also the name of the driver.
pub const FILE_SYSTEM: &str = "ext4";
const LABEL: &str = "vcc-state";
/// A file system is grown by at least this much: less is what rounding leaves over.
const LEAST_GROWTH: u64 = 4 << 20;
const SLOW: &str = "Wait; if it goes on, look at the host's storage. The service starts again with the disk when it is there.";
const ATTACH: &str = "Attach the appliance's state disk, or a new one from its package, and restart.";
const RESTORE: &str =
    "Restore the state disk from a backup, or attach a new one from the appliance's package.";

/// What a look for the state disk gave.
#[derive(Debug)]
pub enum Search {
    /// There is none, yet.
    Missing {
        /// What there is instead, for people.
        seen: String,
    },
    /// There is one, and it is mounted.
    Mounted(Box<Mounted>),
    /// There is one, and it cannot be used.
    Unusable {
        /// The kernel's name of the device.
        device: String,
        /// The check `state-disk`.
        check: Check,
    },
}

/// A state disk in use.
#[derive(Debug)]
pub struct Mounted {
    /// The kernel's name of the device.
    pub device: String,
    /// The number of this boot, as far as it could be counted.
    pub boots: u64,
    /// What the machine was last time.
    pub last: Option<LastStart>,
    /// What it was given when that could last be read.
    pub given: Option<Given>,
    /// How it is reached, where that was set on the machine itself.
    pub network: Kept,
    /// The role that was chosen with the set-up, if one was.
    pub role: kept_role::Kept,
    /// The check `state-disk`, as far as it can be told now.
    pub check: Check,
}

/// Looks in a thread of its own, which reports [`Event::State`].
///
/// # Errors
/// What the system says of the thread.
pub fn start(events: SyncSender<Event>) -> std::io::Result<()> {
    thread::Builder::new().name("state".to_owned()).spawn(move || {
        let _ = events.send(Event::State(search()));
    })?;
    Ok(())
}

/// The check for a disk that did not come.
pub fn missing(seen: &str) -> Check {
    let reason = format!("there is no state disk (a disk with the label {LABEL}); {seen}");
    Check::fail(STATE_DISK, reason, ATTACH)
}

/// The check for a disk that is there, or looked for, and takes its time: a journal is replayed, or the storage is slow.
pub fn slow() -> Check {
    let reason = "the state disk is looked for and mounted, and that takes longer than usual";
    Check::fail(STATE_DISK, reason, SLOW)
}

/// Ends its use; false if it was not in use. The file system is closed for writing if something still holds it.
///
/// # Errors
/// [`Kind::Io`] if not even that could be done: its journal then has to be replayed.
pub fn release() -> Result<bool> {
    match unmount(MOUNT_POINT, UnmountFlags::empty()) {
        Ok(()) => return Ok(true),
        Err(Errno::INVAL) => return Ok(false),
        Err(busy) => log::warn(format_args!(
            "{MOUNT_POINT}: cannot unmount: {busy}; closing it for writing"
        )),
    }
    mount_remount(MOUNT_POINT, MountFlags::RDONLY, "")
        .map(|()| true)
        .map_err(|e| Error::new(Kind::Io, MOUNT_POINT, "cannot be closed for writing").because(e))
}

fn search() -> Search {
    let disks = disks();
    let candidates: Vec<_> = disks
        .iter()
        .filter(|disk| !matches!(disk.content, Content::Other))
        .collect();
    match candidates[..] {
        [] => Search::Missing { seen: seen(&disks) },
        [
            Disk {
                name,
                content: Content::State(superblock),
            },
        ] => bring_up(name, superblock),
        [Disk { name, .. }] => Search::Unusable {
            device: name.clone(),
            check: Check::fail(
                STATE_DISK,
                format!("the file system on {name} is damaged: its superblock's checksum is wrong"),
                RESTORE,
            ),
        },
        [first, ..] => Search::Unusable {
            device: first.name.clone(),
            check: Check::fail(
                STATE_DISK,
                format!("more than one disk could be the state disk ({})", seen(&disks)),
                "Detach all but the right one and restart.",
            ),
        },
    }
}

struct Disk {
    name: String,
    content: Content,
}

enum Content {
    /// A file system with our label.
    State(Box<Superblock>),
    /// What was a file system, perhaps ours.
    Damaged,
    /// Anything else.
    Other,
}

/// Whole disks in the order of their names; no drives for discs, and none that live in memory.
fn disks() -> Vec<Disk> {
    let entries = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            let virtual_ones = ["sr", "loop", "ram", "zram", "fd", "dm-", "md", "nbd"];
            !virtual_ones.iter().any(|prefix| name.starts_with(prefix))
        })
        .collect();
    names.sort();
    names
        .into_iter()
        .map(|name| Disk {
            content: content(&device(&name)),
            name,
        })
        .collect()
}

fn content(device: &Path) -> Content {
    let mut bytes = [0; LENGTH];
    let read = File::open(device).and_then(|file| file.read_exact_at(&mut bytes, OFFSET));
    if read.is_err() {
        return Content::Other;
    }
    match Superblock::parse(&bytes) {
        Ok(superblock) if superblock.label == LABEL => Content::State(Box::new(superblock)),
        Err(error) if error.kind() == image::error::Kind::Checksum => Content::Damaged,
        Ok(_) | Err(_) => Content::Other,
    }
}

fn device(name: &str) -> PathBuf {
    Path::new("/dev").join(name)
}

fn seen(disks: &[Disk]) -> String {
    if disks.is_empty() {
        return "no disk at all was found".to_owned();
    }
    let names: Vec<_> = disks.iter().map(|disk| disk.name.as_str()).collect();
    format!("disks found: {}", names.join(", "))
}

fn bring_up(name: &str, superblock: &Superblock) -> Search {
    if let Err(check) = attach(name) {
        let device = name.to_owned();
        return Search::Unusable { device, check };
    }
    grow(name, superblock);
    if let Err(error) = factory_reset::finish(Path::new(MOUNT_POINT)) {
        log::error(error.chain());
        let _ = release();
        let reason = format!("a factory reset was ordered and is not done: {}", error.chain());
        return Search::Unusable {
            device: name.to_owned(),
            check: Check::fail(STATE_DISK, reason, RESTORE),
        };
    }
    let mut check = Check::pass(STATE_DISK, format!("{name} is mounted"));
    if superblock.errors {
        check = Check::warn(
            STATE_DISK,
            format!("the file system on {name} has recorded errors"),
            "Back up the state disk, and check it with e2fsck on another machine.",
        );
    }
    let boots = count(&mut check);
    log::info(format_args!("state device={name} boots={boots}"));
    Search::Mounted(Box::new(Mounted {
        device: name.to_owned(),
        boots,
        last: LastStart::read(),
        given: Given::read(Path::new(MOUNT_POINT)),
        network: Kept::read(Path::new(MOUNT_POINT)),
        role: kept_role::Kept::read(Path::new(MOUNT_POINT)),
        check,
    }))
}

fn attach(name: &str) -> Result<(), Check> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::NOATIME;
    let options = c"data=ordered,errors=remount-ro";
    match mount(device(name), MOUNT_POINT, FILE_SYSTEM, flags, options) {
        Ok(()) => Ok(()),
        Err(Errno::ROFS | Errno::ACCESS) => Err(Check::fail(
            STATE_DISK,
            format!("the disk {name} is read-only"),
            "Let the virtualisation platform attach it for writing and restart.",
        )),
        Err(error) => Err(Check::fail(
            STATE_DISK,
            format!("the file system on {name} is damaged: the kernel refuses to mount it ({error})"),
            RESTORE,
        )),
    }
}

/// Grows the file system to its device. One that stays small is no reason not to use it.
fn grow(name: &str, superblock: &Superblock) {
    let sectors: u64 = file::text(format!("/sys/block/{name}/size"))
        .ok()
        .and_then(|sectors| sectors.parse().ok())
        .unwrap_or(0);
    let (size, now) = (sectors.saturating_mul(512), superblock.size().unwrap_or(u64::MAX));
    if size < now.saturating_add(LEAST_GROWTH) {
        return;
    }
    let blocks = size / u64::from(superblock.block_size);
    let grown = File::open(MOUNT_POINT).and_then(|mounted| crate::sys::resize_ext4(&mounted, blocks));
    match grown {
        Ok(()) => log::info(format_args!("state grown={}MiB was={}MiB", size >> 20, now >> 20)),
        Err(error) => log::warn(format_args!("{name}: cannot grow the file system: {error}")),
    }
}

/// Counts this boot; at the first one the file system gets a UUID of its own, so that no two clones share one.
fn count(check: &mut Check) -> u64 {
    let root = Path::new(MOUNT_POINT);
    let counted = store::boots(root).and_then(|before| {
        if before == 0 {
            renew_uuid();
        }
        store::count_boot(root)
    });
    let (number, recorded) = match counted {
        Ok(boot) => (boot.number, boot.recorded),
        Err(error) => (0, Err(error)),
    };
    if let Err(error) = recorded {
        let remedy = service::remedy(&error);
        *check = Check::fail(STATE_DISK, explain(&error), remedy);
    }
    number
}

fn explain(error: &Error) -> String {
    let what = match error.kind() {
        Kind::StateFull => "the state disk is full: ",
        Kind::StateReadOnly => "the state disk is read-only: ",
        Kind::StateCorrupt => "the state disk is damaged: ",
        _ => "the state disk does not work: ",
    };
    format!("{what}{}", error.chain())
}

fn renew_uuid() {
    let renewed = File::open(MOUNT_POINT)
        .and_then(|mounted| crate::sys::set_ext4_uuid(&mounted, Uuid::new_v4().into_bytes()));
    if let Err(error) = renewed {
        // EOPNOTSUPP without the feature metadata_csum_seed: checksums then depend on the UUID.
        log::warn(format_args!("the state disk keeps its UUID: {error}"));
    }
}
