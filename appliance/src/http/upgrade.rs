//! Connections that leave HTTP: after the answer 101 they carry a stream, and keep their place in the table, as one of those that
//! are for files.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::timeout;

use super::connections::{Busy, Ticket};
use super::problem::Problem;
use super::upload;
use super::wire::Stream;

/// What is asked for in the header field `Upgrade`.
pub const PROTOCOL: &str = "vcc-stream";
/// The longest from the answer to the stream.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets the connection of a request leave HTTP: an extension of those that ask for it.
#[derive(Debug, Clone)]
pub(super) struct Leave {
    ticket: Arc<Ticket>,
    busy: Arc<Busy>,
    stop: watch::Receiver<bool>,
}

impl Leave {
    pub(super) fn of(ticket: Arc<Ticket>, busy: Arc<Busy>, stop: watch::Receiver<bool>) -> Self {
        Self { ticket, busy, stop }
    }
}

/// A request whose connection leaves HTTP with its answer.
#[derive(Debug)]
pub struct Upgrade {
    leave: Leave,
    ready: OnUpgrade,
}

impl Upgrade {
    /// Of a request that asks for [`PROTOCOL`].
    ///
    /// # Errors
    /// [`Problem::UPGRADE_REQUIRED`] for any other; [`Problem::TOO_MANY_TRANSFERS`] where too many send or take files.
    pub fn of(parts: &mut Parts) -> Result<Self, Problem> {
        let asks = asks_for(&parts.headers);
        let leave = parts.extensions.remove::<Leave>().filter(|_| asks);
        let ready = parts.extensions.remove::<OnUpgrade>();
        let (Some(leave), Some(ready)) = (leave, ready) else {
            let field = HeaderValue::from_static(PROTOCOL);
            return Err(Problem::UPGRADE_REQUIRED.with(UPGRADE, field));
        };
        match leave.busy.begin_transfer() {
            true => Ok(Self { leave, ready }),
            false => Err(upload::too_many()),
        }
    }

    /// The answer; `then` is given the stream.
    pub fn answer<F>(self, then: impl FnOnce(Stream) -> F + Send + 'static) -> Response<Body>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Self { leave, ready } = self;
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = timeout(PATIENCE, ready).await {
                then(Box::new(Placed::of(Box::new(TokioIo::new(stream)), leave))).await;
            }
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let fields = response.headers_mut();
        fields.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        fields.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
        response
    }
}

fn asks_for(fields: &HeaderMap) -> bool {
    let says = |name, wanted: &str| {
        let mut values = fields
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values.any(|value| {
            value
                .split(',')
                .any(|word| word.trim().eq_ignore_ascii_case(wanted))
        })
    };
    says(CONNECTION, "upgrade") && says(UPGRADE, PROTOCOL)
}

/// A stream that has its connection's place in the table until it is dropped, and breaks when the service is to stop.
struct Placed {
    stream: Stream,
    _busy: Arc<Busy>,
    // Given back after the request.
    _ticket: Arc<Ticket>,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Placed {
    fn of(stream: Stream, leave: Leave) -> Self {
        let mut stop = leave.stop;
        Self {
            stream,
            _busy: leave.busy,
            _ticket: leave.ticket,
            stop: Box::pin(async move {
                let _ = stop.wait_for(|stop| *stop).await;
            }),
        }
    }
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stop.as_mut().poll(context).is_ready() {
            // It is never polled again.
            self.stop = Box::pin(std::future::ready(()));
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
