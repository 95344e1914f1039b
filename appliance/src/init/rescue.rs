//! What the menu's entries do: files on the state disk and in memory, and a word to the main loop. It runs in the
//! console's thread, so that a disk that takes its time holds up nobody else.

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use super::event::Event;
use super::kept_network::Kept;
use super::menu::Action;
use super::power::Power;
use super::{display, factory_reset, state};
use crate::addressing::{Addressing, kept};
use crate::check::{Check, NETWORK_SETTINGS};
use crate::error::Result;
use crate::log;
use crate::machine::{self, Machine};
use crate::recovery;

const NO_DISK: &str = "There is no state disk in use.";

/// Where things are, and who is told.
#[derive(Debug, Clone)]
pub struct Rescue {
    /// The state disk's root.
    state: PathBuf,
    /// The machine's report.
    report: PathBuf,
    events: SyncSender<Event>,
}

impl Rescue {
    /// Of this machine.
    pub fn new(events: SyncSender<Event>) -> Self {
        Self {
            state: state::MOUNT_POINT.into(),
            report: machine::PATH.into(),
            events,
        }
    }

    /// Does it; gives the words for whoever asked.
    pub fn perform(&self, action: Action) -> String {
        match action {
            Action::ShowNetwork => self.network(),
            Action::SetNetwork(addressing) => self.set_network(*addressing),
            Action::ForgetNetwork => self.forget_network(),
            Action::ResetAdministrator => self.reset_administrator(),
            Action::ShowSupport => self.support(),
            Action::FactoryReset => self.factory_reset(),
            Action::End(power) => self.end(power),
        }
    }

    fn machine(&self) -> Machine {
        Machine::read(&self.report).unwrap_or_default()
    }

    fn network(&self) -> String {
        let machine = self.machine();
        let list = |words: Vec<String>| match words.is_empty() {
            true => "none".to_owned(),
            false => words.join(", "),
        };
        let addresses = machine.addresses.iter().map(ToString::to_string).collect();
        let name_servers = machine.name_servers.iter().map(ToString::to_string).collect();
        let mut text = format!(
            "Name: {}\nAddresses: {}\nName servers: {}\n",
            machine.hostname,
            list(addresses),
            list(name_servers)
        );
        for check in machine
            .checks
            .iter()
            .filter(|check| check.name.starts_with("network"))
        {
            let line = format!("{}: {} ({})\n", check.name, check.status.as_str(), check.reason);
            text.push_str(&line);
        }
        match machine.state.mounted.then(|| kept::read(&self.state)) {
            None => text.push_str(NO_DISK),
            Some(Ok(None)) => text.push_str("Settings: those of the properties"),
            Some(Ok(Some(addressing))) => {
                let settings = kept::render(&addressing).unwrap_or_default();
                let settings = String::from_utf8_lossy(&settings);
                text.push_str(&format!("Settings made here: {}", settings.trim_end()));
            }
            Some(Err(error)) => text.push_str(&error.chain().to_string()),
        }
        text
    }

    fn set_network(&self, addressing: Addressing) -> String {
        let written = self.on_disk(|| kept::write(&self.state, &addressing));
        let (check, words) = match written {
            Ok(()) => (
                Kept::made_here(),
                "The settings are kept and hold from now on.".to_owned(),
            ),
            // Whoever is here needs the network more than a file.
            Err(reason) => (
                Check::warn(
                    NETWORK_SETTINGS,
                    format!("made on this machine, until it restarts: {reason}"),
                    "Make the state disk usable, and set the network again.",
                ),
                format!("The settings hold until the next start only. {reason}"),
            ),
        };
        log::info("console action=set-network");
        self.tell(Event::Network(Box::new(Kept {
            addressing: Some(addressing),
            check: Some(check),
        })));
        words
    }

    fn forget_network(&self) -> String {
        match self.on_disk(|| kept::remove(&self.state)) {
            Ok(()) => {
                log::info("console action=forget-network");
                self.tell(Event::Network(Box::default()));
                "The properties hold from now on.".to_owned()
            }
            Err(reason) => reason,
        }
    }

    fn reset_administrator(&self) -> String {
        let Some(directory) = self.report.parent() else {
            return NO_DISK.to_owned();
        };
        match recovery::issue(directory, uptime()) {
            Ok(code) => {
                log::info("console action=reset-administrator");
                format!(
                    "Code: {code}\nIt is good once, for an hour, and until the machine restarts:\n\
                     vcc reset-password HOST --name NAME, or the page /reset in a browser"
                )
            }
            Err(error) => error.chain().to_string(),
        }
    }

    fn support(&self) -> String {
        let addresses = self.machine().addresses;
        let Some(first) = addresses.first() else {
            return "The bundle is fetched over the network, and there is no address yet.".to_owned();
        };
        let host = match first {
            std::net::IpAddr::V4(address) => address.to_string(),
            std::net::IpAddr::V6(address) => format!("[{address}]"),
        };
        format!(
            "An administrator of the provider fetches it, made at that moment and without secrets:\n\
             https://{host}/support-bundle, or vcc support-bundle"
        )
    }

    fn factory_reset(&self) -> String {
        match self.on_disk(|| factory_reset::order(&self.state)) {
            Ok(()) => {
                log::info("console action=factory-reset");
                self.tell(Event::End(Power::Restart));
                "The appliance restarts and removes its state then.".to_owned()
            }
            Err(reason) => reason,
        }
    }

    fn end(&self, power: Power) -> String {
        self.tell(Event::End(power));
        "The appliance goes down.".to_owned()
    }

    /// Changes something on the state disk, or says why it can't be.
    fn on_disk(&self, change: impl FnOnce() -> Result<()>) -> std::result::Result<(), String> {
        // Without the disk its directory is a place in memory.
        if !self.machine().state.mounted {
            return Err(NO_DISK.to_owned());
        }
        change().map_err(|error| error.chain().to_string())
    }

    fn tell(&self, event: Event) {
        // The main loop never ends.
        let _ = self.events.send(event);
    }
}

fn uptime() -> Duration {
    Duration::try_from_secs_f64(display::uptime()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, sync_channel};

    fn example(mounted: bool) -> (tempfile::TempDir, Rescue, Receiver<Event>) {
        let folder = tempfile::tempdir().unwrap();
        let (events, received) = sync_channel(8);
        let mut machine = Machine::default();
        machine.state.mounted = mounted;
        machine.addresses = vec!["2001:db8::5".parse().unwrap()];
        std::fs::create_dir(folder.path().join("state")).unwrap();
        let rescue = Rescue {
            state: folder.path().join("state"),
            report: folder.path().join("machine.json"),
            events,
        };
        machine.write(&rescue.report).unwrap();
        (folder, rescue, received)
    }

    fn dhcp() -> Action {
        Action::SetNetwork(Box::default())
    }

    #[test]
    fn settings_are_kept_and_then_applied_and_can_be_taken_back() {
        let (_folder, rescue, received) = example(true);
        rescue.perform(dhcp());
        assert_eq!(kept::read(&rescue.state).unwrap(), Some(Addressing::default()));
        assert!(matches!(received.recv(), Ok(Event::Network(kept)) if kept.addressing.is_some()));
        assert!(rescue.perform(Action::ShowNetwork).contains("\"dhcp\": true"));
        rescue.perform(Action::ForgetNetwork);
        assert_eq!(kept::read(&rescue.state).unwrap(), None);
        assert!(matches!(received.recv(), Ok(Event::Network(kept)) if kept.addressing.is_none()));
    }

    #[test]
    fn without_a_state_disk_settings_hold_until_the_next_start_and_nothing_is_written() {
        let (_folder, rescue, received) = example(false);
        assert!(rescue.perform(dhcp()).contains("until the next start"));
        assert!(matches!(received.recv(), Ok(Event::Network(kept)) if kept.addressing.is_some()));
        assert_eq!(std::fs::read_dir(&rescue.state).unwrap().count(), 0);
        assert_eq!(rescue.perform(Action::FactoryReset), NO_DISK);
        assert!(received.try_recv().is_err());
    }

    #[test]
    fn a_factory_reset_is_ordered_before_the_machine_restarts() {
        let (_folder, rescue, received) = example(true);
        rescue.perform(Action::FactoryReset);
        assert!(matches!(received.recv(), Ok(Event::End(Power::Restart))));
        assert!(factory_reset::finish(&rescue.state).unwrap());
    }

    #[test]
    fn the_bundles_address_is_one_that_a_browser_takes() {
        let (_folder, rescue, _received) = example(true);
        let words = rescue.perform(Action::ShowSupport);
        assert!(words.contains("https://[2001:db8::5]/support-bundle"), "{words}");
    }
}
