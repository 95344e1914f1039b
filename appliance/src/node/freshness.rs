//! How old the news of a node are.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Moment;

/// Time between two heartbeats.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// When each node was last heard of. Kept in memory: a heartbeat writes to the disk only when the next number is agreed on. Of
/// before the server's start it knows what was written then.
#[derive(Debug, Default)]
pub struct Seen(Mutex<HashMap<String, Moment>>);

impl Seen {
    pub(super) fn note(&self, node: &str, now: Moment) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(node.to_owned(), now);
    }

    pub(super) fn of(&self, node: &str) -> Option<Moment> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(node).copied()
    }
}

/// What is known beside the tables.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    /// When nodes were last heard of.
    pub seen: &'a Seen,
    /// What time it is.
    pub now: Moment,
}

/// How old the news of a node are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Freshness {
    /// Its last heartbeat is not older than one and a half times their distance.
    Live,
    /// One is missing.
    Stale,
    /// Two are missing, or there was none.
    Unreachable,
}

impl Freshness {
    /// Of a node that was last heard of then.
    pub fn of(seen: Option<Moment>, now: Moment) -> Self {
        let Some(seen) = seen else {
            return Self::Unreachable;
        };
        // What comes from later than now tells of a clock that was set back, and nothing of the node.
        let age = now.since(seen);
        match age {
            _ if seen > now.after(HEARTBEAT) || age > HEARTBEAT * 2 => Self::Unreachable,
            _ if age > HEARTBEAT * 3 / 2 => Self::Stale,
            _ => Self::Live,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_grow_old_within_two_heartbeats_and_are_never_told_as_new() {
        let seen = Moment(1_000_000);
        let after = |seconds: u64| Freshness::of(Some(seen), seen.after(Duration::from_secs(seconds)));
        assert_eq!([after(0), after(15)], [Freshness::Live; 2]);
        assert_eq!([after(16), after(20)], [Freshness::Stale; 2]);
        assert_eq!(after(21), Freshness::Unreachable);
        assert_eq!(Freshness::of(None, seen), Freshness::Unreachable);
        // A clock that was set back by an hour.
        assert_eq!(
            Freshness::of(Some(Moment(3_600_000 + 1_000_000)), seen),
            Freshness::Unreachable
        );
    }
}
