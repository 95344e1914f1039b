//! The power button, and what a machine can be asked to do.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::thread;

use rustix::system::RebootCommand;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use super::event::Event;
use crate::file;

/// How the machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It is switched off.
    Off,
    /// It starts anew.
    Restart,
    /// It stands still and stays on.
    Halt,
}

/// The kernel's `SIGPWR`: a power supply says that it fails.
pub const SIGPWR: i32 = 30;

const EVENT_SIZE: usize = 24;
const EV_KEY: u16 = 1;
const KEY_POWER: u16 = 116;
const PRESSED: i32 = 1;

impl Power {
    /// What a signal to PID 1 asks for, after BusyBox's init: SIGUSR2 off (`poweroff`), SIGTERM restart (`reboot`),
    /// SIGUSR1 halt (`halt`); SIGINT, which the kernel sends for Ctrl-Alt-Del, restart; SIGPWR off.
    pub fn of_signal(signal: i32) -> Option<Self> {
        match signal {
            SIGUSR2 | SIGPWR => Some(Self::Off),
            SIGTERM | SIGINT => Some(Self::Restart),
            SIGUSR1 => Some(Self::Halt),
            _ => None,
        }
    }

    /// What is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "poweroff",
            Self::Restart => "reboot",
            Self::Halt => "halt",
        }
    }

    /// What the kernel is told.
    pub fn command(self) -> RebootCommand {
        match self {
            Self::Off => RebootCommand::PowerOff,
            Self::Restart => RebootCommand::Restart,
            Self::Halt => RebootCommand::Halt,
        }
    }
}

/// The input devices that have a power button.
#[derive(Debug, Default)]
pub struct Buttons(BTreeSet<String>);

impl Buttons {
    /// Listens to every power button that is not listened to yet, reported as [`Event::PowerButton`].
    pub fn look(&mut self, events: &SyncSender<Event>) {
        let entries = std::fs::read_dir("/sys/class/input")
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        for name in names.filter(|name| name.starts_with("event")) {
            if self.0.contains(&name) || !has_power_key(&name) {
                continue;
            }
            if listen(&name, events.clone()).is_ok() {
                self.0.insert(name);
            }
        }
        // A button that went away may come back under its name.
        self.0
            .retain(|name| Path::new("/sys/class/input").join(name).exists());
    }
}

fn has_power_key(name: &str) -> bool {
    let keys = file::text(format!("/sys/class/input/{name}/device/capabilities/key"));
    keys.is_ok_and(|keys| has_key(&keys, KEY_POWER))
}

/// Looks a key up in the kernel's bitmap: hexadecimal words of 64 bits, the highest first.
fn has_key(bitmap: &str, key: u16) -> bool {
    let word = bitmap.split(' ').rev().nth(usize::from(key / 64));
    let word = word.and_then(|word| u64::from_str_radix(word, 16).ok());
    word.is_some_and(|word| word >> (key % 64) & 1 == 1)
}

fn listen(name: &str, events: SyncSender<Event>) -> std::io::Result<()> {
    let mut device = File::open(Path::new("/dev/input").join(name))?;
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let mut event = [0; EVENT_SIZE];
        while device.read_exact(&mut event).is_ok() {
            if is_press(&event) && events.send(Event::PowerButton).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// `struct input_event`: two times of eight bytes, type, code, value.
fn is_press(event: &[u8; EVENT_SIZE]) -> bool {
    let half = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
    let value = i32::from_ne_bytes([event[20], event[21], event[22], event[23]]);
    (half(16), half(18), value) == (EV_KEY, KEY_POWER, PRESSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_button_is_told_from_a_mouse() {
        assert!(has_key("10000000000000 0", KEY_POWER));
        assert!(!has_key("70000 0 0 0 0", KEY_POWER));
        assert!(!has_key("", KEY_POWER));
    }

    #[test]
    fn the_press_counts_and_the_release_does_not() {
        let mut event = [0; EVENT_SIZE];
        (event[16], event[18], event[20]) = (1, 116, 1);
        assert!(is_press(&event));
        event[20] = 0;
        assert!(!is_press(&event));
    }

    #[test]
    fn every_name_that_stops_a_machine_sends_a_signal_that_does() {
        for (name, power) in [
            ("poweroff", Power::Off),
            ("reboot", Power::Restart),
            ("halt", Power::Halt),
        ] {
            let signal = crate::command::stop_signal(name).unwrap();
            assert_eq!(Power::of_signal(signal.as_raw()), Some(power), "{name}");
        }
    }
}
