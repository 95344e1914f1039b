//! The open connections: of too many, the oldest one without a request under way makes room.
//!
//! Refusing newcomers instead would let whoever opens the most idle connections lock everybody else out. Files, which take as
//! long as they take, go over half of the places at most.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// The table of open connections.
#[derive(Debug, Default)]
pub struct Connections {
    table: Mutex<Table>,
    closed: Notify,
    evicted: AtomicU64,
    refused: AtomicU64,
    stop: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// How many there are at most.
    limit: usize,
    open: BTreeMap<u64, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    requests: usize,
    /// Of these, the ones that send or take files.
    transfers: usize,
    task: Option<AbortHandle>,
}

/// One connection's place in the table, given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    id: u64,
    connections: Arc<Connections>,
}

/// A request: from when it is whole its connection is not idle until this is dropped.
#[derive(Debug)]
pub struct Busy {
    id: u64,
    connections: Arc<Connections>,
    has_begun: AtomicBool,
    is_transfer: AtomicBool,
}

impl Connections {
    /// Takes one of `limit` places for a new connection; none if every place has a request under way.
    pub fn admit(self: &Arc<Self>, limit: usize) -> Option<Ticket> {
        let mut table = self.lock();
        table.limit = limit;
        if table.open.len() >= limit {
            let Some(id) = table.oldest_idle() else {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            if let Some(task) = table.open.remove(&id).and_then(|entry| entry.task) {
                task.abort();
            }
            self.evicted.fetch_add(1, Ordering::Relaxed);
        }
        let id = table.next;
        table.next += 1;
        table.open.insert(id, Entry::default());
        Some(Ticket {
            id,
            connections: Arc::clone(self),
        })
    }

    /// Notes the task that serves connection `id`, so that it can be ended.
    pub fn started(&self, id: u64, task: AbortHandle) {
        if let Some(entry) = self.lock().open.get_mut(&id) {
            entry.task = Some(task);
        }
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.lock().open.len()
    }

    /// How many were closed to make room.
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// How many were refused because all others were busy.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Waits until none is open.
    pub async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            if self.open() == 0 {
                return;
            }
            closed.await;
        }
    }

    /// How many there are at most, once one has come.
    pub fn limit(&self) -> Option<usize> {
        Some(self.lock().limit).filter(|limit| *limit > 0)
    }

    /// Tells those that are served or used elsewhere that they are to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Becomes true when they are to end.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Takes one of the places for files.
    fn transfer(&mut self, id: u64) -> bool {
        let under_way = self.open.values().filter(|entry| entry.transfers > 0).count();
        match self.open.get_mut(&id) {
            Some(entry) if entry.transfers > 0 || under_way < (self.limit / 2).max(1) => {
                entry.transfers += 1;
                true
            }
            _ => false,
        }
    }

    fn oldest_idle(&self) -> Option<u64> {
        let idle = self
            .open
            .iter()
            .find(|(_, entry)| entry.requests == 0 && entry.task.is_some());
        idle.map(|(&id, _)| id)
    }
}

impl Ticket {
    /// The connection's number in the table.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A request that comes over it.
    pub fn request(&self) -> Busy {
        Busy {
            id: self.id,
            connections: Arc::clone(&self.connections),
            has_begun: AtomicBool::new(false),
            is_transfer: AtomicBool::new(false),
        }
    }
}

impl Busy {
    /// Notes that the request is whole.
    pub fn begin(&self) {
        if !self.has_begun.swap(true, Ordering::Relaxed) {
            self.change(|entry| entry.requests = entry.requests.saturating_add(1));
        }
    }

    /// Notes that the request may send or take a file, whether it is whole or not; no where too many do.
    pub fn begin_transfer(&self) -> bool {
        if !self.is_transfer.load(Ordering::Relaxed) {
            if !self.connections.lock().transfer(self.id) {
                return false;
            }
            self.is_transfer.store(true, Ordering::Relaxed);
        }
        self.begin();
        true
    }

    fn change(&self, change: impl Fn(&mut Entry)) {
        if let Some(entry) = self.connections.lock().open.get_mut(&self.id) {
            change(entry);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.has_begun.load(Ordering::Relaxed) {
            self.change(|entry| entry.requests = entry.requests.saturating_sub(1));
        }
        if self.is_transfer.load(Ordering::Relaxed) {
            self.change(|entry| entry.transfers = entry.transfers.saturating_sub(1));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.connections.lock().open.remove(&self.id);
        self.connections.closed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 4;

    #[tokio::test]
    async fn a_newcomer_takes_the_place_of_the_oldest_idle_connection() {
        let connections = Arc::new(Connections::default());
        let tickets: Vec<_> = (0..LIMIT).filter_map(|_| connections.admit(LIMIT)).collect();
        let tasks: Vec<_> = (tickets.iter())
            .map(|ticket| {
                let task = tokio::spawn(std::future::pending::<()>());
                connections.started(ticket.id(), task.abort_handle());
                task
            })
            .collect();
        let busy = tickets[0].request();
        busy.begin();
        let _unfinished = tickets[1].request();
        assert!(connections.admit(LIMIT).is_some());
        assert_eq!(connections.evicted(), 1);
        tokio::task::yield_now().await;
        assert!(!tasks[0].is_finished() && tasks[1].is_finished());
        drop(busy);
    }

    #[tokio::test]
    async fn with_every_connection_busy_a_newcomer_is_refused() {
        let connections = Arc::new(Connections::default());
        let tickets: Vec<_> = (0..LIMIT).filter_map(|_| connections.admit(LIMIT)).collect();
        let busy: Vec<_> = tickets.iter().map(Ticket::request).collect();
        busy.iter().for_each(Busy::begin);
        assert!(connections.admit(LIMIT).is_none());
        assert_eq!((connections.refused(), connections.open()), (1, LIMIT));
    }
    #[tokio::test]
    async fn files_go_over_half_of_the_places() {
        let connections = Arc::new(Connections::default());
        let tickets: Vec<_> = (0..LIMIT).filter_map(|_| connections.admit(LIMIT)).collect();
        let mut busy: Vec<_> = tickets.iter().map(Ticket::request).collect();
        let taken: Vec<_> = busy.iter().map(Busy::begin_transfer).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert!(busy[0].begin_transfer());
        drop(busy.remove(0));
        assert!(busy[1].begin_transfer() && !busy[2].begin_transfer());
    }
}
