//! Devices and their drivers: what is there at the start, and what comes later, in one thread.
//!
//! The socket listens before the first look, so that nothing falls between. Between any two modules the socket is
//! emptied, so that a disk is known as soon as the kernel made it, however long the next driver takes.
//!
//! A controller that waits for its ports, empty ones too, takes most of a start's time, and by default the kernel
//! lets no other module in meanwhile. So these come first and probe in the background like all others, and one module
//! at the end waits for everything; what came of that is loaded one by one.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::thread;

use super::event::Event;
use super::modules::{Loader, Probing};
use super::uevent::{Received, Socket, Uevent};
use crate::check::Check;
use crate::file;
use crate::log;

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
            queue: VecDeque::new(),
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
    /// What drivers are still to be found for.
    queue: VecDeque<String>,
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
        while self.queue.front().is_some_and(|modalias| is_slow(modalias)) {
            self.load_next(probing)?;
        }
        for name in self.loader.always() {
            self.loader.load(&name, probing);
        }
        self.work(probing)?;
        self.loader.finish();
        self.work(Probing::Finished)
    }

    /// Loads drivers until nothing is known that has none.
    fn work(&mut self, probing: Probing) -> std::io::Result<()> {
        self.drain()?;
        while self.load_next(probing)? {}
        Ok(())
    }

    /// Loads the next device's drivers; false if there is none.
    fn load_next(&mut self, probing: Probing) -> std::io::Result<bool> {
        let Some(modalias) = self.queue.pop_front() else {
            return Ok(false);
        };
        for name in self.loader.matching(&modalias) {
            self.loader.load(&name, probing);
            self.drain()?;
        }
        Ok(true)
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
        if is_slow(modalias) {
            self.queue.push_front(modalias.to_owned());
        } else {
            self.queue.push_back(modalias.to_owned());
        }
    }
}

/// Controllers whose driver waits for every port (PCI class 01, subclasses 01 IDE, 05 ATA, 06 SATA).
fn is_slow(modalias: &str) -> bool {
    modalias.starts_with("pci:")
        && ["bc01sc01", "bc01sc05", "bc01sc06"]
            .iter()
            .any(|class| modalias.contains(class))
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
    fn controllers_that_wait_for_their_ports_are_told_from_others() {
        assert!(is_slow("pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01"));
        assert!(!is_slow("pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00"));
    }
}
