//! What happens to machines.

use std::time::Duration;

use crate::error::Result;

/// Events as they come, from the moment of asking on.
pub trait Events: Send {
    /// The next one; none if there is none for so long.
    ///
    /// # Errors
    /// The manager can't be reached any more.
    fn next(&mut self, patience: Duration) -> Result<Option<Event>>;
}

/// Something that happened to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in the manager's words (RFC 3339 or near it).
    pub at: String,
    /// The machine's name.
    pub name: String,
    /// The manager's own id of the machine, as far as it can still be asked for.
    pub id: Option<String>,
    /// What.
    pub kind: EventKind,
    /// More, in the manager's words.
    pub detail: String,
}

/// What can happen to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It was made or changed.
    Defined,
    /// It was removed.
    Undefined,
    /// It was switched on, or goes on from a saved state.
    Started,
    /// It was paused.
    Suspended,
    /// It goes on.
    Resumed,
    /// It is off.
    Stopped,
    /// It is switching off.
    Shutdown,
    /// Its system failed.
    Crashed,
    /// Something else.
    Other,
}
