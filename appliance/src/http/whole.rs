//! Requests that are whole: a connection is busy from then on, and not while its client has yet to send the rest.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::connections::Busy;
use super::leftover::Leftover;

/// A body at whose end its connection has something to do.
pub(super) struct Whole {
    body: Leftover,
    busy: Arc<Busy>,
}

impl Whole {
    pub(super) fn of(body: Leftover, busy: Arc<Busy>) -> Self {
        if body.is_end_stream() {
            busy.begin();
        }
        Self { body, busy }
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            self.busy.begin();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
