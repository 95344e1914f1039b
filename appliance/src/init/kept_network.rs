//! `network.json` of the state disk: what prevails over the properties, and what is wrong with it.

use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::thread;

use super::event::Event;
use super::state::MOUNT_POINT;
use crate::addressing::{Addressing, kept};
use crate::check::{Check, NETWORK_SETTINGS};
use crate::log;

const REMEDY: &str = "Set the network anew on the console; until then the properties count.";

/// What a look at the file gave.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The settings; none where the properties count.
    pub addressing: Option<Addressing>,
    /// The check `network-settings`; none where there is no file.
    pub check: Option<Check>,
}

/// Looks at the state disk in a thread of its own, which reports [`Event::Network`].
pub fn look(events: SyncSender<Event>) {
    let look = move || {
        let _ = events.send(Event::Network(Box::new(Kept::read(Path::new(MOUNT_POINT)))));
    };
    if let Err(error) = thread::Builder::new().name("network".to_owned()).spawn(look) {
        log::error(format_args!("{NETWORK_SETTINGS}: cannot be looked at: {error}"));
    }
}

impl Kept {
    /// The check where the file is as it should be.
    pub fn made_here() -> Check {
        Check::pass(NETWORK_SETTINGS, "made on this machine; they prevail")
    }

    /// Reads the file in `directory`. One that cannot be used counts as none, and the check says why.
    pub fn read(directory: &Path) -> Self {
        match kept::read(directory) {
            Ok(None) => Self::default(),
            Ok(Some(addressing)) => Self {
                addressing: Some(addressing),
                check: Some(Check::pass(
                    NETWORK_SETTINGS,
                    "made on this machine; they prevail",
                )),
            },
            Err(error) => {
                log::error(error.chain());
                Self {
                    addressing: None,
                    check: Some(Check::fail(NETWORK_SETTINGS, error.chain().to_string(), REMEDY)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    #[test]
    fn a_file_that_cannot_be_used_leaves_the_properties_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Kept::read(folder.path()).check.is_none());
        std::fs::write(folder.path().join(kept::NAME), "{\"dhcp\": 1}").unwrap();
        let found = Kept::read(folder.path());
        assert!(found.addressing.is_none());
        assert_eq!(found.check.unwrap().status, Outcome::Fail);
    }
}
