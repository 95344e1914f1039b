//! Streams that sources bring to a destination which can't reach them, and whoever waits for those.
//!
//! A source comes as soon as it can, and its streams wait here until they are used: [`MOST`] for a transfer, and none for one that
//! nobody here wants. A stream on which the source says something, or goes, before it was asked is none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::http::wire::Stream;

/// Streams of a transfer that wait at most.
const MOST: usize = 8;
/// How long one waits.
const WAIT: Duration = Duration::from_secs(60);
/// How long a destination waits for one: the source may have to hear of it first.
const PATIENCE: Duration = Duration::from_secs(30);

/// What transfers streams are wanted for.
#[derive(Debug, Default)]
pub struct Streams(Mutex<HashMap<Uuid, Weak<Wanted>>>);

/// A transfer for which streams are wanted, as long as somebody has it.
#[derive(Debug)]
pub(super) struct Wanted {
    source: Uuid,
    places: Arc<Semaphore>,
    takers: mpsc::Sender<oneshot::Sender<Stream>>,
    queue: Arc<Queue>,
}

/// Whoever takes the next stream; it ends with what is wanted.
type Queue = tokio::sync::Mutex<mpsc::Receiver<oneshot::Sender<Stream>>>;

/// A place for a stream that comes.
#[derive(Debug)]
pub(crate) struct Expected {
    queue: Arc<Queue>,
    _place: OwnedSemaphorePermit,
}

impl Streams {
    /// Wants streams of a transfer from its source.
    pub(super) fn want(&self, transfer: Uuid, source: Uuid) -> Arc<Wanted> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, wanted| wanted.strong_count() > 0);
        let known = all.get(&transfer).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| known.source == source) {
            return known;
        }
        let (takers, queue) = mpsc::channel(MOST);
        let wanted = Arc::new(Wanted {
            source,
            places: Arc::new(Semaphore::new(MOST)),
            takers,
            queue: Arc::new(Queue::new(queue)),
        });
        all.insert(transfer, Arc::downgrade(&wanted));
        wanted
    }

    /// A place for a stream that a source brings.
    ///
    /// # Errors
    /// [`Kind::Unknown`] where nobody wants it; [`Kind::Ceiling`] where as many wait as may.
    pub(crate) fn expect(&self, transfer: Uuid, source: Uuid) -> Result<Expected> {
        let refused = |kind, reason| Err(Error::new(kind, "the stream", reason));
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = all.get(&transfer).and_then(Weak::upgrade);
        let Some(wanted) = wanted.filter(|wanted| wanted.source == source) else {
            return refused(Kind::Unknown, "nobody waits for it now");
        };
        match Arc::clone(&wanted.places).try_acquire_owned() {
            Ok(place) => Ok(Expected {
                queue: Arc::clone(&wanted.queue),
                _place: place,
            }),
            Err(_) => refused(Kind::Ceiling, "as many wait as may"),
        }
    }
}

impl Wanted {
    /// The next stream that comes, or has come.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] where none comes.
    pub(super) async fn take(&self) -> Result<Stream> {
        let none = || {
            let reason = "it has not connected to this node, which waited for it";
            Error::new(Kind::Unreachable, "the source", reason)
        };
        let (taker, taken) = oneshot::channel();
        let take = async {
            self.takers.send(taker).await.map_err(|_| none())?;
            taken.await.map_err(|_| none())
        };
        timeout(PATIENCE, take).await.map_err(|_| none())?
    }
}

impl Expected {
    /// Has a stream wait until it is taken, is no more, or is wanted no more.
    pub(crate) async fn wait(self, mut stream: Stream) {
        let next = timeout(WAIT, async {
            let mut queue = self.queue.lock().await;
            loop {
                match queue.recv().await {
                    Some(taker) if taker.is_closed() => {}
                    taker => return taker,
                }
            }
        });
        let mut byte = [0];
        let taker = tokio::select! {
            taker = next => taker,
            _ = stream.read(&mut byte) => return,
        };
        if let Ok(Some(taker)) = taker {
            let _ = taker.send(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_stream_is_for_whoever_wants_it_from_its_source_and_for_nobody_else() {
        let streams = Streams::default();
        let [transfer, source, other] = [(); 3].map(|()| Uuid::new_v4());
        let kind = |from| streams.expect(transfer, from).unwrap_err().kind();
        assert_eq!(kind(source), Kind::Unknown, "nobody wants it yet");
        let wanted = streams.want(transfer, source);
        assert_eq!(kind(other), Kind::Unknown, "it is another's");
        let (mut own, theirs) = duplex(64);
        let waiting = tokio::spawn(streams.expect(transfer, source).unwrap().wait(Box::new(theirs)));
        let mut taken = wanted.take().await.unwrap();
        own.write_all(b"x").await.unwrap();
        let mut heard = [0];
        taken.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"x");
        waiting.await.unwrap();
        drop(wanted);
        assert_eq!(kind(source), Kind::Unknown, "nobody wants it any more");
    }

    #[tokio::test]
    async fn so_many_wait_and_those_that_go_or_speak_first_are_none() {
        let streams = Streams::default();
        let (transfer, source) = (Uuid::new_v4(), Uuid::new_v4());
        let wanted = streams.want(transfer, source);
        let come = || {
            let (own, theirs) = duplex(64);
            let expected = streams.expect(transfer, source).unwrap();
            (own, tokio::spawn(expected.wait(Box::new(theirs))))
        };
        let mut all: Vec<_> = (0..MOST).map(|_| come()).collect();
        let refused = streams.expect(transfer, source).unwrap_err();
        assert_eq!(refused.kind(), Kind::Ceiling);
        let (gone, first) = all.remove(0);
        drop(gone);
        first.await.unwrap();
        let (mut loud, second) = all.remove(0);
        loud.write_all(b"x").await.unwrap();
        second.await.unwrap();
        let _again = (come(), come());
        drop(wanted);
        for (_own, waiting) in all {
            waiting.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_source_that_never_comes_is_told() {
        let streams = Streams::default();
        let wanted = streams.want(Uuid::new_v4(), Uuid::new_v4());
        let Err(error) = wanted.take().await else {
            panic!("there is a stream");
        };
        assert_eq!(error.kind(), Kind::Unreachable);
    }
}
