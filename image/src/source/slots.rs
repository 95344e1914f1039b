//! Tables of a disk format kept in memory: a fixed number of places, each for one of the keys that fall to it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

/// A cache of `slots` values, safe to use from several threads. A value that is in use outlives its place.
pub(crate) struct Slots<T>(Vec<Mutex<Option<Kept<T>>>>);

type Kept<T> = (u64, Arc<T>);

impl<T> Slots<T> {
    pub(crate) fn new(slots: usize) -> Self {
        Self((0..slots.max(1)).map(|_| Mutex::new(None)).collect())
    }

    /// The value of `key`, from its place or by `load`. Who asks for the same value meanwhile waits for this one.
    pub(crate) fn get(&self, key: u64, load: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let place = usize::try_from(key % self.0.len() as u64).unwrap_or(0);
        let mut slot = self.0[place].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = slot.as_ref().filter(|(known, _)| *known == key) {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(load()?);
        *slot = Some((key, Arc::clone(&value)));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Place};

    #[test]
    fn a_value_is_loaded_once_while_it_keeps_its_place() {
        let slots = Slots::new(4);
        let mut loads = 0;
        for key in [1, 1, 2, 5, 5, 1] {
            let value = slots.get(key, || {
                loads += 1;
                Ok(key * 10)
            });
            assert_eq!(*value.unwrap(), key * 10);
        }
        assert_eq!(loads, 4);
    }

    #[test]
    fn a_failed_load_leaves_nothing_behind() {
        let slots = Slots::new(1);
        let failed = slots.get(1, || Err::<u8, _>(Error::invalid(Place::Whole, "no")));
        assert!(failed.is_err());
        assert_eq!(*slots.get(1, || Ok(7)).unwrap(), 7);
    }
}
