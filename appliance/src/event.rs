//! Events: what changes while somebody looks. They are kept in memory, and so few that whoever comes late reads the resources
//! anew; what counts is in the tables and in the audit log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::broadcast;
use utoipa::ToSchema;

use crate::clock::Moment;

/// Events that are kept.
const KEPT: usize = 1024;
/// The longest data of one in bytes, so that all of them have their bound.
const LONGEST: usize = 8 << 10;

/// Something that changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Its number, since the connector was started.
    pub number: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Moment,
    /// What, such as `task` or `node`.
    pub kind: &'static str,
    /// The id of what changed.
    pub object: String,
    /// The tenant that sees it; what has none is the provider's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// How it is now, but for what a task brought; nothing where that is longer than 8 KiB. Then it has to be read.
    #[schema(value_type = Option<Object>)]
    pub data: Option<Box<RawValue>>,
}

/// The events of a running connector.
#[derive(Debug)]
pub struct Events {
    kept: Mutex<Kept>,
    told: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    events: VecDeque<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            told: broadcast::Sender::new(KEPT),
        }
    }
}

/// What came since a number, and what comes from now on.
#[derive(Debug)]
pub struct Following {
    /// Some of what came since was forgotten.
    pub gap: bool,
    /// What came since.
    pub past: Vec<Arc<Event>>,
    /// What comes.
    pub next: broadcast::Receiver<Arc<Event>>,
}

impl Events {
    /// Tells the provider of something, after it was committed.
    pub fn tell(&self, kind: &'static str, object: &str, data: &impl Serialize, now: Moment) {
        self.tell_to(kind, object, None, data, now);
    }

    /// The same, of what is a tenant's, to its users as well.
    pub fn tell_to(
        &self,
        kind: &'static str,
        object: &str,
        tenant: Option<String>,
        data: &impl Serialize,
        now: Moment,
    ) {
        let mut kept = self.kept();
        kept.next += 1;
        let event = Arc::new(Event {
            number: kept.next,
            at: now,
            kind,
            object: object.to_owned(),
            tenant,
            data: to_raw_value(data).ok().filter(|data| data.get().len() <= LONGEST),
        });
        if kept.events.len() == KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(Arc::clone(&event));
        // Nobody may be listening.
        let _ = self.told.send(event);
    }

    /// Follows them, after the event of a number that was seen before.
    pub fn follow(&self, after: Option<u64>) -> Following {
        let kept = self.kept();
        let after = after.unwrap_or(kept.next);
        let oldest = kept.events.front().map_or(kept.next + 1, |event| event.number);
        Following {
            // A number of the future is of before the connector's start.
            gap: after > kept.next || after + 1 < oldest,
            past: kept
                .events
                .iter()
                .filter(|event| event.number > after)
                .cloned()
                .collect(),
            next: self.told.subscribe(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_back_gets_what_was_missed_or_is_told_that_something_is_gone() {
        let events = Events::default();
        let tell = |times: usize| (0..times).for_each(|_| events.tell("task", "a", &1, Moment(0)));
        tell(3);
        let numbers = |following: &Following| {
            following
                .past
                .iter()
                .map(|event| event.number)
                .collect::<Vec<_>>()
        };
        let fresh = events.follow(None);
        assert_eq!((fresh.gap, numbers(&fresh)), (false, vec![]));
        let late = events.follow(Some(1));
        assert_eq!((late.gap, numbers(&late)), (false, vec![2, 3]));
        assert!(events.follow(Some(9)).gap, "of before the start");
        tell(KEPT);
        let later = events.follow(Some(1));
        assert_eq!((later.gap, later.past.len()), (true, KEPT));
        assert!(!events.follow(Some(3)).gap);
    }

    #[test]
    fn what_is_kept_has_its_bound_however_much_changes() {
        let events = Events::default();
        for length in [LONGEST - 2, LONGEST] {
            events.tell("node", "a", &"x".repeat(length), Moment(0));
        }
        let past = events.follow(Some(0)).past;
        assert_eq!(past[0].data.as_ref().unwrap().get().len(), LONGEST);
        assert!(past[1].data.is_none());
    }
}
