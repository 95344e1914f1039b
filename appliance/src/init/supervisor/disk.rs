//! The search for the state disk, from the first device to what came of it.

use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use crate::check::Check;
use crate::init::event::Event;
use crate::init::state::{self, Mounted, Search};
use crate::log;
use crate::machine::StateDisk;

/// How long a state disk may take to appear after the drivers are there.
const WAIT: Duration = Duration::from_secs(10);

/// How far the search has come.
#[derive(Default)]
pub(super) struct Disk {
    /// A look is under way.
    looking: bool,
    /// Devices came while it was.
    again: bool,
    /// When the search counts as failed; known once the drivers are there.
    until: Option<Instant>,
    state: StateDisk,
    /// What came of it, good or bad; none while there is hope.
    check: Option<Check>,
    seen: String,
}

impl Disk {
    /// The disk, as the service is told of it.
    pub(super) fn state(&self) -> &StateDisk {
        &self.state
    }

    pub(super) fn is_mounted(&self) -> bool {
        self.state.mounted
    }

    /// The check `state-disk`, once it was found or given up.
    pub(super) fn check(&self) -> Option<&Check> {
        self.check.as_ref()
    }

    /// When the search is given up, if it still goes on.
    pub(super) fn due(&self) -> Option<Instant> {
        self.until.filter(|_| self.check.is_none())
    }

    /// All devices are there: it has its last chance.
    pub(super) fn settle(&mut self, now: Instant) {
        self.until = Some(now + WAIT);
    }

    /// Looks for it, unless it is found; once more where a look is under way.
    pub(super) fn look(&mut self, events: &SyncSender<Event>) {
        if self.state.mounted {
            return;
        }
        if self.looking {
            self.again = true;
            return;
        }
        match state::start(events.clone()) {
            Ok(()) => self.looking = true,
            Err(error) => log::error(format_args!("cannot look for the state disk: {error}")),
        }
    }

    /// Gives the search up where its time is over; tells whether it did.
    pub(super) fn give_up_if_due(&mut self, now: Instant) -> bool {
        let over = self.due().is_some_and(|until| now >= until);
        if over {
            self.check = Some(match self.looking {
                true => state::slow(),
                false => state::missing(&self.seen),
            });
        }
        over
    }

    /// Takes what a look gave, and gives it back where the disk is mounted.
    pub(super) fn found(&mut self, search: Search) -> Option<Mounted> {
        self.looking = false;
        match search {
            Search::Missing { seen } => {
                if self.check.is_some() {
                    self.check = Some(state::missing(&seen));
                }
                self.seen = seen;
                None
            }
            Search::Unusable { device, check } => {
                self.state.device = Some(device);
                self.check = Some(check);
                None
            }
            Search::Mounted(mounted) => {
                self.state = StateDisk {
                    mounted: true,
                    device: Some(mounted.device.clone()),
                    boots: mounted.boots,
                };
                self.check = Some(mounted.check.clone());
                Some(*mounted)
            }
        }
    }

    /// Whether devices came during the last look, so that another is due.
    pub(super) fn is_to_be_looked_for_again(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Outcome;

    fn missing() -> Search {
        Search::Missing {
            seen: "disks found: vda".to_owned(),
        }
    }

    #[test]
    fn a_disk_that_does_not_come_is_given_up_and_a_late_one_is_taken() {
        let now = Instant::now();
        let mut disk = Disk::default();
        assert!(disk.found(missing()).is_none());
        assert!(!disk.give_up_if_due(now + 2 * WAIT), "the drivers may still come");
        disk.settle(now);
        assert!(!disk.give_up_if_due(now) && disk.check().is_none());
        assert!(disk.give_up_if_due(now + WAIT));
        assert!(disk.check().unwrap().reason.contains("vda"));
        assert!(!disk.give_up_if_due(now + WAIT), "once");
        let late = Search::Mounted(Box::new(Mounted {
            device: "vdb".to_owned(),
            boots: 3,
            last: None,
            given: None,
            network: crate::init::kept_network::Kept::default(),
            role: crate::init::kept_role::Kept::default(),
            check: Check::pass(crate::check::STATE_DISK, "vdb is mounted"),
        }));
        assert!(disk.found(late).is_some() && disk.is_mounted());
        assert_eq!(disk.check().unwrap().status, Outcome::Pass);
    }
}
