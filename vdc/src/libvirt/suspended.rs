//! A running machine is stopped with its memory and devices in a volume beside its disks, and goes on from there.

use std::time::Duration;

use image::source::Source;

use super::download::Download;
use super::inventory::{child, document};
use super::resumed::{PLATFORM, Resumed};
use super::virsh::{Virsh, option};
use super::{export, inventory};
use crate::error::{Error, Kind, Result};
use crate::manager::{After, Exported, ExportedState};

/// What it may take to write a machine's memory down, or to read it: terabytes on a slow disk take this long.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// The volume that holds a machine's state.
pub(super) fn volume_of(name: &str) -> String {
    format!("{name}-memory.save")
}

/// Stops a machine and takes it out with its state. If anything fails it goes on.
pub(super) fn export(virsh: &Virsh, name: &str) -> Result<Exported> {
    let domain = option("domain", name)?;
    let state = virsh.run(&["domstate", &domain])?;
    if state.trim() != "running" {
        let reason = format!("the machine is {}: it has no state to save", state.trim());
        return Err(Error::new(Kind::Off, name, reason));
    }
    // Found out before anything is stopped.
    Resumed::parse(&virsh.run(&["dumpxml", "--migratable", &domain])?)?.check()?;
    let kept = Kept::of(virsh, name)?;
    kept.free(virsh)?;
    let saved = virsh
        .ask(&["save", &domain, &format!("--file={}", kept.path)])?
        .answer(PATIENCE)
        .and_then(|_| kept.take(virsh, name));
    saved.map_err(|error| match release(virsh, name, After::GoesOn) {
        Ok(()) => error,
        Err(left) => Error::new(left.kind(), name, format!("{error}; and {left}")),
    })
}

/// Has a machine go on from its state, or leaves it saved in libvirt's own way.
pub(super) fn release(virsh: &Virsh, name: &str, after: After) -> Result<()> {
    let domain = option("domain", name)?;
    let kept = Kept::of(virsh, name)?;
    // A save that failed has left it running.
    if virsh.run(&["domstate", &domain])?.trim() == "shut off" {
        let paused = match after {
            After::GoesOn => None,
            After::StaysSaved => Some("--paused"),
        };
        restore(virsh, &kept.path, None, paused)
            .and_then(|()| match after {
                After::GoesOn => Ok(()),
                After::StaysSaved => keep_saved(virsh, &domain),
            })
            .map_err(|error| {
                let reason = format!("the machine's state is kept in {}", kept.path);
                Error::new(error.kind(), name, reason).because(error)
            })?;
    }
    let [pool, volume] = kept.options()?;
    virsh.run(&["pool-refresh", &pool])?;
    match virsh.run(&["vol-delete", &pool, &volume]) {
        Err(error) if error.kind() != Kind::Missing => Err(error),
        _ => Ok(()),
    }
}

/// Runs a machine from a state.
pub(super) fn restore(virsh: &Virsh, path: &str, definition: Option<&str>, how: Option<&str>) -> Result<()> {
    let path = format!("--file={path}");
    let question = ["restore", &path].into_iter().chain(definition).chain(how);
    virsh
        .ask(&question.collect::<Vec<_>>())?
        .answer(PATIENCE)
        .map(drop)
}

/// Stops a machine so that it goes on when it is switched on.
pub(super) fn keep_saved(virsh: &Virsh, domain: &str) -> Result<()> {
    let question = ["managedsave", domain, "--running"];
    virsh.ask(&question)?.answer(PATIENCE).map(drop)
}

/// Where a machine's state is kept.
struct Kept {
    pool: String,
    volume: String,
    path: String,
}

impl Kept {
    /// The pool of the machine's first disk.
    fn of(virsh: &Virsh, name: &str) -> Result<Self> {
        let document = document(virsh, &["dumpxml", "--inactive", &option("domain", name)?])?;
        let devices = child(document.root(), "devices");
        let disks = devices.into_iter().flat_map(|devices| devices.children());
        let mut sources = disks
            .filter(|device| device.local_name() == "disk")
            .filter_map(|disk| child(disk, "source"));
        let reason = "a state can be saved beside a disk in a pool, and the machine has none";
        let source = sources
            .next()
            .ok_or_else(|| Error::new(Kind::Unsupported, name, reason))?;
        let (pool, _) = export::volume(virsh, source)?;
        let folder = inventory::folder(virsh, &pool)?;
        let volume = volume_of(name);
        Ok(Self {
            path: format!("{}/{volume}", folder.trim_end_matches('/')),
            volume,
            pool,
        })
    }

    fn options(&self) -> Result<[String; 2]> {
        Ok([option("pool", &self.pool)?, option("vol", &self.volume)?])
    }

    fn free(&self, virsh: &Virsh) -> Result<()> {
        let [pool, volume] = self.options()?;
        virsh.run(&["pool-refresh", &pool])?;
        match virsh.run(&["vol-info", &pool, &volume]) {
            Err(error) if error.kind() == Kind::Missing => Ok(()),
            Err(error) => Err(error),
            Ok(_) => {
                let reason = format!(
                    "a state that was saved earlier is there: virsh restore {}, or delete it",
                    self.path
                );
                Err(Error::new(Kind::Taken, self.volume.as_str(), reason))
            }
        }
    }

    fn take(&self, virsh: &Virsh, name: &str) -> Result<Exported> {
        let options = self.options()?;
        virsh.run(&["pool-refresh", &options[0]])?;
        let definition = virsh.run(&["save-image-dumpxml", &format!("--file={}", self.path)])?;
        Resumed::parse(&definition)?.check()?;
        let told = document(virsh, &["vol-dumpxml", &options[0], &options[1]])?;
        let size = export::bytes(told.root(), "capacity")?;
        let mut exported = export::run(virsh, name)?;
        let source: Box<dyn Source> = Box::new(Download::new(virsh, name, options, size));
        exported.state = Some(ExportedState {
            platform: PLATFORM,
            definition,
            source,
        });
        Ok(exported)
    }
}
