//! How far a transfer is, from its first question to its receipt: counted by those who work on it, told by whoever watches.

use std::sync::{Arc, Mutex, PoisonError};

use super::assembly::Counts;
use crate::task::{Progress, Stage};
use crate::transfer::{Phase, Told};

/// How far a transfer is, for whoever tells of it.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) counts: Arc<Counts>,
    now: Mutex<(Phase, String, u64)>,
}

impl Standing {
    /// Of one of which nothing is known.
    pub(super) fn new() -> Self {
        Self {
            counts: Arc::default(),
            now: Mutex::new((Phase::Granted, String::new(), 0)),
        }
    }

    pub(super) fn is(&self, phase: Phase, message: impl Into<String>) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        (now.0, now.1) = (phase, message.into());
    }

    pub(super) fn total(&self, bytes: u64) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).2 = bytes;
    }

    fn phase(&self) -> Phase {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn told(&self) -> Told {
        let (_, wire, reused) = self.counts.read();
        Told {
            wire,
            reused,
            ..Told::at(self.phase())
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let (phase, message, total) = self.now.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (done, ..) = self.counts.read();
        let done = if phase > Phase::Receiving {
            total
        } else {
            done.min(total)
        };
        Progress {
            state: Stage::Running,
            done: i64::try_from(done).unwrap_or(i64::MAX),
            total: i64::try_from(total).unwrap_or(i64::MAX),
            message,
            result: serde_json::to_value(self.told()).ok(),
        }
    }
}
