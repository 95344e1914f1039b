//! Long bodies as streams: whoever sends one is told to go on first, and it is given up only when nothing moves any more.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::ext::on_informational;
use hyper::header::{EXPECT, HeaderName};
use hyper::{Method, StatusCode};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Answer, Client, late, unreachable, whole};
use crate::access::Secret;
use crate::error::{Error, Result};

/// How long nothing of a body may move.
pub(crate) const STILL: Duration = Duration::from_secs(60);
/// What the server may do with a body that it has: it makes it durable.
const LAST: Duration = Duration::from_secs(600);
/// How long to wait to be told to go on: somebody in between may keep that to himself.
const PERMISSION: Duration = Duration::from_secs(10);

impl Client {
    /// Sends a body whose length is known by PUT; a server that refuses it gets none of it. It may take as long as it moves.
    ///
    /// # Errors
    /// As [`Client::ask`], and those of the body.
    pub async fn upload(
        &mut self,
        path: &str,
        token: Option<&Secret>,
        fields: &[(HeaderName, &str)],
        body: impl Body<Data = Bytes, Error = Error> + Send + Unpin + 'static,
    ) -> Result<Answer> {
        let fate = Arc::new(Fate::default());
        let permission = Arc::new(Notify::new());
        let body = Sending {
            body,
            fate: Arc::clone(&fate),
            permission: Some(Box::pin(permitted(Arc::clone(&permission)))),
        };
        let mut request = self.request(Method::PUT, path, token, fields, body.boxed_unsync())?;
        let expected = hyper::header::HeaderValue::from_static("100-continue");
        request.headers_mut().insert(EXPECT, expected);
        on_informational(&mut request, move |told| {
            if told.status() == StatusCode::CONTINUE {
                permission.notify_one();
            }
        });
        let sent = fate.watch(self.send(request)).await;
        // Whatever is left of it has nobody to go to.
        fate.is_given_up.store(true, Ordering::Relaxed);
        if let Some(error) = fate.take() {
            return Err(error);
        }
        let (sender, answer) = sent?;
        let answer = timeout(super::PATIENCE, whole(answer, super::LIMIT));
        let answer = answer.await.map_err(late)??;
        // A connection over which not all was sent is good for nothing else.
        if fate.is_over() {
            self.keep(sender);
        }
        Ok(answer)
    }
}

async fn permitted(permission: Arc<Notify>) {
    let _ = timeout(PERMISSION, permission.notified()).await;
}

/// What becomes of a body.
#[derive(Debug, Default)]
struct Fate {
    moved: AtomicU64,
    is_over: AtomicBool,
    is_given_up: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Fate {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn take(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for an answer for as long as the body moves.
    async fn watch<T>(&self, sent: impl Future<Output = Result<T>>) -> Result<T> {
        let mut sent = std::pin::pin!(sent);
        let (mut moved, mut still) = (0, Duration::ZERO);
        loop {
            if let Ok(sent) = timeout(STILL, &mut sent).await {
                return sent;
            }
            let now = self.moved.load(Ordering::Relaxed);
            still = if now == moved {
                still + STILL
            } else {
                Duration::ZERO
            };
            moved = now;
            let longest = if self.is_over() { LAST } else { STILL };
            if still >= longest {
                return Err(unreachable("it takes no more"));
            }
        }
    }
}

/// A body that waits to be let in.
struct Sending<B> {
    body: B,
    fate: Arc<Fate>,
    permission: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Sending<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.fate.is_given_up.load(Ordering::Relaxed) {
            return Poll::Ready(Some(Err(io::ErrorKind::BrokenPipe.into())));
        }
        if let Some(permission) = &mut self.permission {
            if permission.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.permission = None;
        }
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return Poll::Pending,
        };
        let fate = Arc::clone(&self.fate);
        let frame = match frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                fate.moved.fetch_add(length as u64, Ordering::Relaxed);
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                *fate.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Some(Err(io::Error::other("the body can't be read")))
            }
            None => None,
        };
        if frame.is_none() || self.body.is_end_stream() {
            fate.is_over.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
