//! A body that is read only once its client may send it, and ends where it drips.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::{Admitted, PACE_BYTES};

/// Why a body ends before its end.
#[derive(Debug, thiserror::Error)]
pub(in crate::http) enum Cut {
    /// Nobody let the client send it.
    #[error("the body was read before it was let in")]
    NotAdmitted,
    /// The client sends too little.
    #[error("the body comes too slowly")]
    TooSlow,
    /// The connection, or the body's form, broke.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

/// The body of a request that sends a file.
pub(in crate::http) struct Paced<B> {
    body: B,
    admitted: Admitted,
    pace: Pace,
}

impl<B> Paced<B> {
    pub(in crate::http) fn of(body: B, admitted: Admitted, limit: Duration) -> Self {
        Self {
            body,
            admitted,
            pace: Pace::of(limit),
        }
    }
}

impl<B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.body.is_end_stream() {
            return Poll::Ready(None);
        }
        if !self.admitted.has_begun() {
            return Poll::Ready(Some(Err(Cut::NotAdmitted)));
        }
        if self.admitted.is_too_slow() {
            return Poll::Ready(Some(Err(Cut::TooSlow)));
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(polled) => {
                let data = polled.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                self.pace.came(data.map_or(0, Bytes::len) as u64);
                Poll::Ready(polled.map(|frame| frame.map_err(Cut::Broken)))
            }
            Poll::Pending if self.pace.wait(context).is_ready() => {
                self.admitted.0.is_too_slow.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err(Cut::TooSlow)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The clock of a client; it stands while nobody waits for it.
struct Pace {
    limit: Duration,
    left: Duration,
    bytes: u64,
    since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl Pace {
    fn of(limit: Duration) -> Self {
        Self {
            limit,
            left: limit,
            bytes: 0,
            since: None,
            timer: Box::pin(sleep(limit)),
        }
    }

    fn came(&mut self, bytes: u64) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= PACE_BYTES {
            (self.bytes, self.left) = (0, self.limit);
        }
    }

    /// Ready when the client had its time.
    fn wait(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now);
            self.timer.as_mut().reset(now + self.left);
        }
        self.timer.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt as _;
    use http_body_util::channel::{Channel, Sender};

    use super::*;
    use crate::http::connections::Connections;

    const LIMIT: Duration = Duration::from_secs(30);

    fn body() -> (Sender<Bytes, hyper::Error>, Paced<Channel<Bytes, hyper::Error>>) {
        let connections = Arc::new(Connections::default());
        let ticket = connections.admit(4).unwrap();
        let admitted = Admitted::of(Arc::new(ticket.request()));
        admitted.begin().unwrap();
        let (sender, body) = Channel::new(1);
        (sender, Paced::of(body, admitted, LIMIT))
    }

    /// Sends `bytes` each time after `wait`, until nobody takes them; or a hundred times.
    async fn drip(bytes: usize, wait: Duration) -> Result<usize, Cut> {
        let (mut sender, mut body) = body();
        let sending = tokio::spawn(async move {
            for _ in 0..100 {
                tokio::time::sleep(wait).await;
                if sender.send_data(vec![0; bytes].into()).await.is_err() {
                    return;
                }
            }
        });
        let mut taken = 0;
        while let Some(frame) = body.frame().await {
            taken += frame?.into_data().map_or(0, |data| data.len());
        }
        sending.await.unwrap();
        Ok(taken)
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_that_keeps_the_pace_sends_all_however_long_that_takes() {
        assert_eq!(drip(1100, Duration::from_secs(1)).await.unwrap(), 110_000);
        assert_eq!(drip(31 << 10, Duration::from_secs(29)).await.unwrap(), 3100 << 10);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_drips_or_stops_is_ended() {
        for (bytes, wait) in [(900, 1), (1, 29), (31 << 10, 31)] {
            let cut = drip(bytes, Duration::from_secs(wait)).await;
            assert!(matches!(cut, Err(Cut::TooSlow)), "{bytes} bytes each {wait} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_that_the_connector_takes_is_not_the_clients() {
        let (mut sender, mut body) = body();
        for _ in 0..10 {
            sender.send_data(vec![0; 100].into()).await.unwrap();
            tokio::time::sleep(LIMIT).await;
            assert!(body.frame().await.unwrap().is_ok());
        }
    }

    #[tokio::test]
    async fn nothing_is_read_before_it_is_let_in() {
        let connections = Arc::new(Connections::default());
        let ticket = connections.admit(4).unwrap();
        let admitted = Admitted::of(Arc::new(ticket.request()));
        let (mut sender, channel) = Channel::<Bytes, hyper::Error>::new(1);
        sender.send_data(Bytes::from_static(b"disk")).await.unwrap();
        let mut body = Paced::of(channel, admitted.clone(), LIMIT);
        assert!(matches!(body.frame().await, Some(Err(Cut::NotAdmitted))));
        admitted.begin().unwrap();
        assert!(body.frame().await.unwrap().is_ok());
    }
}
