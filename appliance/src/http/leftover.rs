//! What nobody read of a request's body.
//!
//! A connection that is closed while bytes are on their way to it is reset, and the client never reads why it was refused. So
//! what is left of a body is taken off the wire for a while, after the answer; of a long one a part, and then its client has time
//! to read.
//!
//! A client that expects to be told to go on (`Expect: 100-continue`) has sent nothing yet. Asking for what it has is what tells
//! it, so nobody asks.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// The longest that a client may go on sending after it was answered.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes that are taken at most.
const MOST: usize = 1 << 20;

/// A body whose rest is taken off the wire when it is dropped.
pub(super) struct Leftover {
    body: Option<Incoming>,
    /// The client waits, and will send nothing of it.
    is_unasked: bool,
}

impl Leftover {
    /// The body of a request; `expects` whose client waits to be told to send it.
    pub(super) fn of(body: Incoming, expects: bool) -> Self {
        Self {
            body: Some(body),
            is_unasked: expects,
        }
    }
}

impl Body for Leftover {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_unasked = false;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| !body.is_end_stream());
        if let Some(body) = body.filter(|_| !self.is_unasked) {
            tokio::spawn(timeout(PATIENCE, discard(body)));
        }
    }
}

async fn discard(mut body: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => std::future::pending().await,
        }
    }
}
