//! How forwarding stands.

use std::sync::{Mutex, PoisonError};

use super::collector::Collector;
use crate::check::{Check, SYSLOG};

/// How forwarding stands; shared by the task that does it and all that tell of it.
#[derive(Debug, Default)]
pub struct Forwarding(Mutex<Status>);

/// How it stands at one moment.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Where messages go.
    pub(super) collector: Option<Collector>,
    /// What keeps them from it.
    pub(super) trouble: Option<String>,
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that were dropped, since more came than the server took.
    pub dropped: u64,
}

impl Forwarding {
    /// How it stands.
    pub fn status(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Status {
    /// Whether messages are to go anywhere.
    pub fn is_wanted(&self) -> bool {
        self.collector.is_some()
    }

    /// Whether messages go out.
    pub fn is_at_work(&self) -> bool {
        self.is_wanted() && self.trouble.is_none()
    }

    /// What this means for readiness; nothing where none is wanted.
    pub fn check(&self) -> Option<Check> {
        let collector = self.collector.as_ref()?;
        Some(match &self.trouble {
            None => Check::pass(SYSLOG, format!("the log is forwarded to {collector}")),
            Some(trouble) => Check::warn(
                SYSLOG,
                format!("the log is not forwarded: {trouble}"),
                "Check the syslog server, and the setting or property 'syslog'.",
            ),
        })
    }
}
