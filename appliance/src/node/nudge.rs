//! Waking requests in which nodes wait for news: a node can't be reached, it only asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What nodes that ask wait for. A nudge that comes between two questions is kept for the next.
#[derive(Debug, Default)]
pub struct Nudges(Mutex<HashMap<String, Arc<Notify>>>);

impl Nudges {
    /// What a node waits for.
    pub fn of(&self, node: &str) -> Arc<Notify> {
        let mut all = self.all();
        Arc::clone(all.entry(node.to_owned()).or_default())
    }

    /// Wakes a node's request.
    pub fn wake(&self, node: &str) {
        if let Some(notify) = self.all().get(node) {
            notify.notify_one();
        }
    }

    /// Wakes those of all nodes.
    pub fn wake_all(&self) {
        for notify in self.all().values() {
            notify.notify_one();
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
