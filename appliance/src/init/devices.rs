//! Devices and their drivers: what is there at the start, and what comes later, in one thread.
//!
//! The socket listens before the first look, so that nothing falls between. Between any two modules the socket is
//! emptied, so that a disk is known as soon as the kernel made it, however long the next driver takes.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::thread;

use super::event::Event;
use super::modules::Loader;
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
            log::error(format_args!("devices: {error}; those that come from now on are not seen"));
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
        for name in self.loader.always() {
            self.loader.load(&name);
        }
        self.look();
        self.work()?;
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
            self.work()?;
        }
    }

    /// Loads drivers until nothing is known that has none.
    fn work(&mut self) -> std::io::Result<()> {
        log::info(format_args!("TRACE work at {:?}", std::time::Instant::now()));
        loop {
            self.drain()?;
            let Some(modalias) = self.queue.pop_front() else {
                return Ok(());
            };
            for name in self.loader.matching(&modalias) {
                self.loader.load(&name);
                self.drain()?;
            }
        }
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
        log::info(format_args!("TRACE look at {:?}", std::time::Instant::now()));
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
            self.queue.push_back(modalias.to_owned());
        } else {
            self.queue.push_front(modalias.to_owned());
        }
    }
}

/// Controllers whose driver waits for every empty port (PCI class 01, subclasses 01 IDE, 05 ATA, 06 SATA): last, since
/// the kernel lets no module in while one waits.
fn is_slow(modalias: &str) -> bool {
    modalias.starts_with("pci:") && ["bc01sc01", "bc01sc05", "bc01sc06"].iter().any(|class| modalias.contains(class))
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
    fn controllers_that_wait_for_empty_ports_come_last() {
        assert!(is_slow("pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01"));
        assert!(!is_slow("pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00"));
    }
}
