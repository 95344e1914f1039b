//! Parts of an image kept in memory, so many and no more, shared between threads: the least recently used one goes first.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

/// A cache of values by key. A value that is in use outlives its place.
pub(crate) struct Cache<K, V> {
    limit: usize,
    kept: Mutex<Kept<K, V>>,
}

struct Kept<K, V> {
    places: HashMap<K, (u64, Arc<Place<V>>)>,
    clock: u64,
}

/// Locked while its value is made: who asks for the same one meanwhile waits for it.
type Place<V> = Mutex<Option<Arc<V>>>;

impl<K: Copy + Eq + Hash, V> Cache<K, V> {
    /// A cache of at most `limit` values, at least one.
    pub(crate) fn new(limit: usize) -> Self {
        let (places, clock) = (HashMap::new(), 0);
        Self {
            limit: limit.max(1),
            kept: Mutex::new(Kept { places, clock }),
        }
    }

    /// The value of `key`, from `make` where it isn't kept.
    pub(crate) fn get(&self, key: K, make: impl FnOnce() -> Result<V>) -> Result<Arc<V>> {
        let place = lock(&self.kept).place(key, self.limit);
        let mut place = lock(&place);
        if let Some(value) = &*place {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(make()?);
        *place = Some(Arc::clone(&value));
        Ok(value)
    }
}

impl<K: Copy + Eq + Hash, V> Kept<K, V> {
    fn place(&mut self, key: K, limit: usize) -> Arc<Place<V>> {
        self.clock += 1;
        if let Some((used, place)) = self.places.get_mut(&key) {
            *used = self.clock;
            return Arc::clone(place);
        }
        while self.places.len() >= limit {
            let oldest = self.places.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(&key, _)| key) else {
                break;
            };
            self.places.remove(&oldest);
        }
        let place = Arc::new(Mutex::new(None));
        self.places.insert(key, (self.clock, Arc::clone(&place)));
        place
    }
}

/// A poisoned lock belongs to a panic that is on its way up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Place};

    #[test]
    fn the_value_unused_for_longest_makes_room() {
        let cache = Cache::new(2);
        let mut made = Vec::new();
        for key in [1, 2, 1, 3, 1, 2] {
            let get = cache.get(key, || {
                made.push(key);
                Ok(key * 10)
            });
            assert_eq!(*get.unwrap(), key * 10);
        }
        assert_eq!(made, [1, 2, 3, 2]);
    }

    #[test]
    fn who_asks_for_a_value_that_is_being_made_waits_for_it() {
        let (cache, made) = (Cache::new(4), Mutex::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let get = cache.get(1, || {
                        std::thread::sleep(std::time::Duration::from_millis(20));
                        *lock(&made) += 1;
                        Ok(10)
                    });
                    assert_eq!(*get.unwrap(), 10);
                });
            }
        });
        assert_eq!(*lock(&made), 1);
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let cache = Cache::new(1);
        let failed = cache.get(1, || Err::<u8, _>(Error::invalid(Place::Whole, "no")));
        assert!(failed.is_err());
        assert_eq!(*cache.get(1, || Ok(7)).unwrap(), 7);
    }
}
