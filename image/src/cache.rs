//! Blocks kept by key, so many and no more, shared between threads: the least recently used one goes first.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

pub(crate) struct Cache<K, V> {
    limit: usize,
    kept: Mutex<Kept<K, V>>,
}

struct Kept<K, V> {
    blocks: HashMap<K, (u64, Arc<V>)>,
    clock: u64,
}

impl<K: Copy + Eq + Hash, V> Cache<K, V> {
    /// A cache of at most `limit` blocks, at least one.
    pub(crate) fn new(limit: usize) -> Self {
        let (blocks, clock) = (HashMap::new(), 0);
        Self {
            limit: limit.max(1),
            kept: Mutex::new(Kept { blocks, clock }),
        }
    }

    /// The block of `key`, from `make` where it isn't kept. Two threads may make the same block: nobody waits for the
    /// other's reading.
    pub(crate) fn get(&self, key: K, make: impl FnOnce() -> Result<V>) -> Result<Arc<V>> {
        if let Some(block) = self.with(|kept| kept.touch(key)) {
            return Ok(block);
        }
        let block = Arc::new(make()?);
        self.with(|kept| kept.put(key, &block, self.limit));
        Ok(block)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept<K, V>) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Copy + Eq + Hash, V> Kept<K, V> {
    fn touch(&mut self, key: K) -> Option<Arc<V>> {
        self.clock += 1;
        let (used, block) = self.blocks.get_mut(&key)?;
        *used = self.clock;
        Some(Arc::clone(block))
    }

    fn put(&mut self, key: K, block: &Arc<V>, limit: usize) {
        while self.blocks.len() >= limit {
            let oldest = self.blocks.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(&key, _)| key) else {
                break;
            };
            self.blocks.remove(&oldest);
        }
        self.clock += 1;
        self.blocks.insert(key, (self.clock, Arc::clone(block)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_unused_for_longest_makes_room() {
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
}
