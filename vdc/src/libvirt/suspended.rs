//! A running machine is stopped with its memory and devices in a volume beside its disks, and goes on from there.

use std::thread;
use std::time::{Duration, Instant};

use image::source::Source;
use ovf::xml::Element;

use super::download::Download;
use super::inventory::{child, document};
use super::resumed::{PLATFORM, Resumed};
use super::virsh::{Virsh, option};
use super::{export, inventory, saved_image};
use crate::error::{Error, Kind, Result};
use crate::machine::Machine;
use crate::manager::{After, Exported, ExportedState};

/// What it may take to write a machine's memory down, or to read it: terabytes on a slow disk take this long.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// Between two looks at a machine that is being saved.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The volume that holds a machine's state.
pub(super) fn volume_of(name: &str) -> String {
    format!("{name}-memory.save")
}

/// A machine that runs, as a package can tell it, and its definition.
fn running(virsh: &Virsh, name: &str) -> Result<Machine> {
    let domain = option("domain", name)?;
    let state = virsh.run(&["domstate", &domain])?;
    if state.trim() != "running" {
        let reason = format!("the machine is {}: it has no state to save", state.trim());
        return Err(Error::new(Kind::Off, name, reason));
    }
    let told = virsh.run(&["dominfo", &domain])?;
    if told
        .lines()
        .any(|line| line.starts_with("Persistent:") && line.ends_with("no"))
    {
        let reason = "a machine that libvirt forgets when it stops can't be stopped for a while";
        return Err(Error::new(Kind::Unsupported, name, reason));
    }
    let definition = virsh.run(&["dumpxml", "--migratable", &domain])?;
    let resumed = Resumed::parse(&definition)?;
    resumed.check()?;
    let machine = export::of(virsh, name, resumed.document())?.machine;
    resumed.agrees(&machine)?;
    Ok(machine)
}

/// As it would be exported.
pub(super) fn machine(virsh: &Virsh, name: &str) -> Result<Machine> {
    let machine = running(virsh, name)?;
    Kept::of(virsh, name)?.free(virsh)?;
    Ok(machine)
}

/// Stops a machine and takes it out with its state. If anything fails it goes on.
pub(super) fn export(virsh: &Virsh, name: &str) -> Result<Exported> {
    // Found out before anything is stopped.
    running(virsh, name)?;
    let (domain, kept) = (option("domain", name)?, Kept::of(virsh, name)?);
    kept.free(virsh)?;
    let saved = virsh
        .ask(&["save", &domain, &format!("--file={}", kept.path)])?
        .answer(PATIENCE)
        .and_then(|_| kept.take(virsh, name));
    saved.map_err(|error| match kept.release(virsh, name, After::GoesOn) {
        Ok(()) => error,
        Err(left) => Error::new(left.kind(), name, format!("{error}; and {left}")),
    })
}

/// Has a machine go on from its state, or leaves it saved in libvirt's own way.
pub(super) fn release(virsh: &Virsh, name: &str, after: After) -> Result<()> {
    Kept::of(virsh, name)?.release(virsh, name, after)
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
        let is_disk = |device: &Element<'_>| {
            device.local_name() == "disk" && matches!(device.attribute("", "device"), Some("disk") | None)
        };
        let mut sources = disks.filter(is_disk).filter_map(|disk| child(disk, "source"));
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

    /// The state is removed once the machine runs again, or is saved elsewhere, and never before.
    fn release(&self, virsh: &Virsh, name: &str, after: After) -> Result<()> {
        let domain = option("domain", name)?;
        let lost = |error: Error| {
            let reason = format!("the machine is stopped, and its memory is in {}", self.path);
            Error::new(error.kind(), name, reason).because(error)
        };
        // A save whose answer was lost goes on all the same.
        let start = Instant::now();
        let state = loop {
            let state = virsh.run(&["domstate", &domain]).map_err(lost)?.trim().to_owned();
            if state != "paused" || start.elapsed() > PATIENCE {
                break state;
            }
            thread::sleep(ASK_AGAIN);
        };
        let outcome = match (state.as_str(), after) {
            // The save failed, or somebody was faster.
            ("running", _) => Ok(()),
            ("shut off", After::GoesOn) => restore(virsh, &self.path, None, None),
            ("shut off", After::StaysSaved) => {
                restore(virsh, &self.path, None, Some("--paused")).and_then(|()| {
                    keep_saved(virsh, &domain).map_err(|error| self.go_on_all_the_same(virsh, name, error))
                })
            }
            (other, _) => Err(Error::new(Kind::Answer, name, format!("the machine is {other}"))),
        };
        let runs = || {
            virsh
                .run(&["domstate", &domain])
                .is_ok_and(|state| state.trim() == "running")
        };
        match outcome {
            Ok(()) => self.remove(virsh),
            // Its memory is behind what it has done since.
            Err(error) if runs() => self.remove(virsh).and(Err(error)),
            Err(error) => Err(lost(error)),
        }
    }

    /// A machine that could not be saved again is paused, or runs.
    fn go_on_all_the_same(&self, virsh: &Virsh, name: &str, error: Error) -> Error {
        // Where it can't, whoever asked is told what state it is in.
        let _ = option("domain", name).and_then(|domain| virsh.run(&["resume", &domain]));
        let reason = "the machine goes on: it could not be kept saved";
        Error::new(error.kind(), name, reason).because(error)
    }

    fn remove(&self, virsh: &Virsh) -> Result<()> {
        let [pool, volume] = self.options()?;
        virsh.run(&["pool-refresh", &pool])?;
        match virsh.run(&["vol-delete", &pool, &volume]) {
            Err(error) if error.kind() != Kind::Missing => Err(error),
            _ => Ok(()),
        }
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
                    "a state that was saved earlier is there: virsh restore {}, if the machine was not started since; else delete it",
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
        let resumed = Resumed::parse(&definition)?;
        resumed.check()?;
        let told = document(virsh, &["vol-dumpxml", &options[0], &options[1]])?;
        let size = export::bytes(told.root(), "capacity")?;
        export::off(virsh, name)?;
        let mut exported = export::of(virsh, name, resumed.document())?;
        resumed.agrees(&exported.machine)?;
        let source: Box<dyn Source> = Box::new(Download::new(virsh, name, options, size));
        saved_image::check(source.as_ref())?;
        exported.state = Some(ExportedState {
            platform: PLATFORM,
            definition,
            source,
        });
        Ok(exported)
    }
}
