//! Buffers that were used and will be again: memory that is given back and taken anew costs more than what is put into it.

use std::sync::{Arc, Mutex, PoisonError};

/// Buffers shared between threads. There are never more than were in use at once.
#[derive(Clone, Default)]
pub(crate) struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spare {
    /// One with whatever was in it, or none.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(crate) fn put(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}
