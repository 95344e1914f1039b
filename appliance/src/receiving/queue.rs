//! The parts of a file that are still to be fetched, and who fetches which.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::fault::Fault;
use crate::chunk::Chunk;

/// Parts that wait, at most: whoever plans waits then.
const WAITING: usize = 16;

/// A part of a file that is fetched at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it begins in the file.
    pub(super) offset: u64,
    /// Its bytes.
    pub(super) length: u64,
    /// The chunks that it consists of; none where there is no index, and then nothing is checked before the file is whole.
    pub(super) chunks: Vec<Chunk>,
    /// Whether it came before, and was wrong.
    pub(super) was_wrong: bool,
}

/// The parts of one file.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Part>,
    /// Parts that somebody has, and that are not where they belong yet.
    open: usize,
    is_planned: bool,
    fault: Option<Fault>,
    has_failed: bool,
}

impl Queue {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a part; false where nobody wants it any more.
    pub(super) async fn push(&self, part: Part) -> bool {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.has_failed {
                    return false;
                }
                if state.waiting.len() < WAITING {
                    state.waiting.push_back(part);
                    drop(state);
                    self.changed.notify_waiters();
                    return true;
                }
            }
            changed.await;
        }
    }

    /// No more parts come.
    pub(super) fn is_planned(&self) {
        self.state().is_planned = true;
        self.changed.notify_waiters();
    }

    /// The next part; nothing where there is none any more, nor will be.
    pub(super) async fn next(&self) -> Option<Part> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.has_failed {
                    return None;
                }
                if let Some(part) = state.waiting.pop_front() {
                    state.open += 1;
                    drop(state);
                    self.changed.notify_waiters();
                    return Some(part);
                }
                if state.is_planned && state.open == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Somebody has a part that never waited here.
    pub(super) fn begin(&self) {
        self.state().open += 1;
    }

    /// A part is where it belongs.
    pub(super) fn done(&self) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        drop(state);
        self.changed.notify_waiters();
    }

    /// A part that somebody had is to be had again, before the others.
    pub(super) fn again(&self, part: Part) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        state.waiting.push_front(part);
        drop(state);
        self.changed.notify_waiters();
    }

    /// A part that nobody had is wanted, before the others.
    pub(super) fn add(&self, part: Part) {
        self.state().waiting.push_front(part);
        self.changed.notify_waiters();
    }

    /// Ends it all; the first reason counts.
    pub(super) fn fail(&self, fault: Fault) {
        let mut state = self.state();
        state.has_failed = true;
        state.fault.get_or_insert(fault);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Why it ended, if it did before it was done.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.state().fault.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(offset: u64) -> Part {
        Part {
            offset,
            length: 1,
            chunks: Vec::new(),
            was_wrong: false,
        }
    }

    #[tokio::test]
    async fn nobody_goes_before_every_part_is_where_it_belongs() {
        let queue = Queue::new();
        assert!(queue.push(part(0)).await);
        queue.is_planned();
        assert_eq!(queue.next().await, Some(part(0)));
        let waiting = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.next().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "the part may have to be had again");
        queue.again(part(0));
        assert_eq!(waiting.await.unwrap(), Some(part(0)));
        queue.done();
        assert_eq!(queue.next().await, None);
    }

    #[tokio::test]
    async fn plans_don_t_run_ahead_without_bound_and_end_with_the_rest() {
        let queue = Queue::new();
        for offset in 0..WAITING as u64 {
            assert!(queue.push(part(offset)).await);
        }
        let planning = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { queue.push(part(99)).await }
        });
        tokio::task::yield_now().await;
        assert!(!planning.is_finished());
        let error = crate::error::Error::new(crate::error::Kind::Io, "the disk", "is gone");
        queue.fail(error.into());
        assert!(!planning.await.unwrap());
        assert_eq!(queue.next().await, None);
        assert!(matches!(queue.fault(), Some(Fault::Failed(_))));
    }
}
