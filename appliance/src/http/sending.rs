//! Large answers: a connection is busy until the last byte of one has left this process.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use hyper::body::{Bytes, Frame, SizeHint};

use super::connections::Busy;

/// Marks a response whose body is long: an extension of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Large;

/// The request whose answer's end is in a buffer and waits for its client.
#[derive(Debug, Default)]
pub(super) struct Unsent(Mutex<Option<Arc<Busy>>>);

impl Unsent {
    /// Notes that nothing waits any more.
    pub(super) fn is_sent(&self) {
        self.keep(None);
    }

    fn keep(&self, busy: Option<Arc<Busy>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = busy;
    }
}

/// The body of a large answer.
pub(super) struct Sending {
    body: Body,
    busy: Arc<Busy>,
    unsent: Arc<Unsent>,
}

impl Sending {
    pub(super) fn of(body: Body, busy: Arc<Busy>, unsent: Arc<Unsent>) -> Self {
        Self { body, busy, unsent }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.unsent.keep(Some(Arc::clone(&self.busy)));
    }
}

impl hyper::body::Body for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
