//! Devices and their drivers: what is there at the start, and what comes later, in one thread.
//!
//! The socket listens before the first look, so that nothing falls between. Between any two modules the socket is
//! emptied, so that a disk is known as soon as the kernel made it, however long the next driver takes.
//!
//! What the service needs comes first: quick disks, the state disk's file system, network adapters (`Urgency`). A
//! controller that waits for its ports, empty ones too, takes most of a start's time, and by default the kernel lets no
//! other module in meanwhile. So all drivers probe in the background, and one module at the end waits for everything;
//! what came of that is loaded one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::thread;

use rustix::process::setpriority_process;

use super::event::Event;
use super::modules::{Loader, Probing};
use super::state;
use super::uevent::{Received, Socket, Uevent};
use crate::check::Check;
use crate::file;
use crate::log;

/// The nice value of this thread while it loads what the service does not need.
const AFTER_THE_SERVICE: i32 = 10;

/// What sort of device came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// A disk, or a CD-ROM drive.
    Block,
    /// A network interface.
    Net,
    /// A button or keyboard.
    Input,
    /// A watchdog.
    Watchdog,
}

/// How the drivers did.
#[derive(Debug, Clone)]
pub struct Drivers {
    /// The check `modules`.
    pub check: Check,
    /// How many modules are loaded.
    pub loaded: usize,
}

/// Starts the thread.
///
/// # Errors
/// What the system says; without it there are no devices but those of drivers that are part of the kernel.
pub fn start(events: SyncSender<Event>) -> std::io::Result<()> {
    let socket = Socket::open()?;
    thread::Builder::new().name("devices".to_owned()).spawn(move || {
        let mut devices = Devices {
            loader: Loader::open(),
            socket,
            events,
            queue: BTreeMap::new(),
            known: BTreeSet::new(),
        };
        if let Err(error) = devices.run() {
            log::error(format_args!(
                "devices: {error}; those that come from now on are not seen"
            ));
        }
    })?;
    Ok(())
}

struct Devices {
    loader: Loader,
    socket: Socket,
    events: SyncSender<Event>,
    /// The aliases that drivers are still to be found for, in the order in which they are: the most urgent first, those
    /// of one urgency as they came.
    queue: BTreeMap<(Urgency, usize), String>,
    /// All that they were found for already.
    known: BTreeSet<String>,
}

impl Devices {
    fn run(&mut self) -> std::io::Result<()> {
        self.start()?;
        let drivers = Drivers {
            check: self.loader.check(),
            loaded: self.loader.loaded(),
        };
        if self.events.send(Event::Settled(drivers)).is_err() {
            return Ok(());
        }
        loop {
            let received = self.socket.receive(true)?;
            self.take(received);
            self.work(Probing::Finished)?;
        }
    }

    /// Loads what the machine has at the start, and returns when all of it is there.
    fn start(&mut self) -> std::io::Result<()> {
        let probing = if self.loader.can_wait() {
            Probing::Background
        } else {
            Probing::Finished
        };
        self.look();
        self.work_on(Urgency::Disk, probing)?;
        let always = self.loader.always();
        // Up to the state disk's file system, in the recipe's order: it may ask for others by aliases that name no file.
        let urgent = always.iter().position(|name| name == state::FILE_SYSTEM);
        let (urgent, rest) = always.split_at(urgent.map_or(0, |last| last + 1));
        self.load_all(urgent, probing)?;
        self.work_on(Urgency::Network, probing)?;
        // By now the service can start: it is to answer before drivers that it does not need have taken the processor.
        let _ = setpriority_process(None, AFTER_THE_SERVICE);
        self.work_on(Urgency::Slow, probing)?;
        self.load_all(rest, probing)?;
        self.work(probing)?;
        self.loader.finish();
        let _ = setpriority_process(None, 0);
        self.work(Probing::Finished)
    }

    /// Loads drivers until nothing is known that has none.
    fn work(&mut self, probing: Probing) -> std::io::Result<()> {
        self.work_on(Urgency::Other, probing)
    }

    /// Loads drivers for all that is at least so urgent.
    fn work_on(&mut self, urgency: Urgency, probing: Probing) -> std::io::Result<()> {
        self.drain()?;
        while let Some(next) = self.queue.first_entry().filter(|next| next.key().0 <= urgency) {
            let names = self.loader.matching(&next.remove());

            self.load_all(&names, probing)?;
        }
        Ok(())
    }

    fn load_all(&mut self, names: &[String], probing: Probing) -> std::io::Result<()> {
        for name in names {
            self.loader.load(name, probing);
            self.drain()?;
        }
        Ok(())
    }

    fn drain(&mut self) -> std::io::Result<()> {
        loop {
            match self.socket.receive(false)? {
                Received::Nothing => return Ok(()),
                received => self.take(received),
            }
        }
    }

    fn take(&mut self, received: Received) {
        match received {
            Received::Event(event) => self.note(&event),
            Received::Overrun => self.look(),
            Received::Noise | Received::Nothing => {}
        }
    }

    fn note(&mut self, event: &Uevent) {
        if event.action != "add" {
            // A disk that was enlarged or a medium that was changed comes as `change`.
            if event.action == "change" && event.subsystem == "block" {
                self.tell(Arrival::Block);
            }
            return;
        }
        self.want(&event.modalias);
        match (event.subsystem.as_str(), event.device_type.as_str()) {
            ("block", "disk") => self.tell(Arrival::Block),
            ("net", _) => self.tell(Arrival::Net),
            ("input", _) => self.tell(Arrival::Input),
            ("watchdog", _) => self.tell(Arrival::Watchdog),
            _ => {}
        }
    }

    fn tell(&self, arrival: Arrival) {
        // The main loop never ends; a queue without a reader needs no news.
        let _ = self.events.send(Event::Arrival(arrival));
    }

    /// Notes all devices on all buses. Devices of classes alone have no drivers to find, and sysfs has ten times as
    /// many of them.
    fn look(&mut self) {
        for bus in entries(Path::new("/sys/bus")) {
            for device in entries(&bus.join("devices")) {
                if let Ok(modalias) = file::text(device.join("modalias")) {
                    self.want(&modalias);
                }
            }
        }
    }

    fn want(&mut self, modalias: &str) {
        if modalias.is_empty() || !self.known.insert(modalias.to_owned()) {
            return;
        }
        let place = (Urgency::of(modalias), self.known.len());
        self.queue.insert(place, modalias.to_owned());
    }
}

/// How soon a device's driver is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// A disk, or a controller that knows at once what hangs on it.
    Disk,
    /// A network adapter.
    Network,
    /// A controller whose driver waits for every port.
    Slow,
    /// Anything else.
    Other,
}

impl Urgency {
    /// By the alias: PCI's class and subclass (`bc01sc06`), or the number of virtio's device type.
    fn of(modalias: &str) -> Self {
        let is = |part: &str| modalias.contains(part);
        match modalias.split_once(':') {
            // IDE, ATA and SATA.
            Some(("pci", _)) if is("bc01sc01") || is("bc01sc05") || is("bc01sc06") => Self::Slow,
            Some(("pci", _)) if is("bc01") => Self::Disk,
            Some(("pci", _)) if is("bc02") => Self::Network,
            // Block, and SCSI.
            Some(("virtio", _)) if is("d00000002v") || is("d00000008v") => Self::Disk,
            Some(("virtio", _)) if is("d00000001v") => Self::Network,
            Some(("scsi", _)) => Self::Disk,
            _ => Self::Other,
        }
    }
}

fn entries(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_of_disks_come_before_those_of_adapters_and_slow_controllers() {
        let of_all = [
            "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00",
            "virtio:d00000002v00001AF4",
            "scsi:t-0x00",
            "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00",
            "virtio:d00000001v00001AF4",
            "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01",
            "acpi:LNXPWRBN:",
        ]
        .map(Urgency::of);
        use Urgency::{Disk, Network, Other, Slow};
        assert_eq!(of_all, [Disk, Disk, Disk, Network, Network, Slow, Other]);
    }
}
