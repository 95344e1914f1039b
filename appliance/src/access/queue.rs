//! Strangers who wait for a password to be looked at, which takes its time: few of them from one place, and not too many in all.
//! Others need the connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::place::Place;

/// From one place.
const OF_ONE: usize = 4;
/// From all.
const OF_ALL: usize = 32;

/// Those who wait.
#[derive(Debug, Default)]
pub struct Queue(Mutex<HashMap<Place, usize>>);

/// Somebody who waits, until this is dropped.
#[derive(Debug)]
pub struct Waiting {
    queue: Arc<Queue>,
    place: Place,
}

impl Queue {
    /// Lets somebody wait, unless too many do.
    pub fn enter(self: &Arc<Self>, from: Option<IpAddr>) -> Option<Waiting> {
        let place = Place::of(from);
        let mut all = self.all();
        if all.values().sum::<usize>() >= OF_ALL {
            return None;
        }
        let count = all.entry(place).or_default();
        if *count >= OF_ONE {
            return None;
        }
        *count += 1;
        Some(Waiting {
            queue: Arc::clone(self),
            place,
        })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Place, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut all = self.queue.all();
        if let Some(count) = all.get_mut(&self.place) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                all.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_keeps_no_other_out_and_all_together_are_bounded() {
        let queue = Arc::new(Queue::default());
        let from = |last: usize| format!("192.0.2.{last}").parse().ok();
        let mut waiting: Vec<_> = (0..10).filter_map(|_| queue.enter(from(1))).collect();
        assert_eq!(waiting.len(), OF_ONE);
        waiting.extend((2..100).filter_map(|last| queue.enter(from(last))));
        assert_eq!(waiting.len(), OF_ALL);
        waiting.clear();
        assert!(queue.enter(from(1)).is_some());
        assert!(queue.all().is_empty());
    }
}
