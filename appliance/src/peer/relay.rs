//! Passing bytes on between two nodes of which neither reaches the other.
//!
//! Each connection of one side meets one of the other, and what comes over either goes to the other: TLS between the two, of which
//! a relay sees lengths and times. It keeps nothing. [`MOST`] connections at once, [`OF_TRANSFER`] of each side of a transfer; one
//! that meets nobody ends after [`PATIENCE`], and two over which nothing goes after one or two times [`IDLE`].

use std::collections::{HashMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::http::wire::Stream;
use crate::transfer::Part;

/// Connections at once.
const MOST: usize = 128;
/// Connections of one side of a transfer at once.
const OF_TRANSFER: usize = 8;
/// How long one waits for the other.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks whether anything has gone over a pair.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes that are on their way in each direction.
const BUFFER: usize = 16 << 10;

/// What passes through a node.
#[derive(Debug, Default)]
pub struct Relays {
    open: Mutex<HashMap<Uuid, Meeting>>,
    bytes: AtomicU64,
}

/// The connections of a transfer.
#[derive(Debug, Default)]
struct Meeting {
    sources: Side,
    destinations: Side,
}

#[derive(Debug, Default)]
struct Side {
    seats: usize,
    /// Those that wait for one of the other side.
    waiting: VecDeque<oneshot::Sender<Seated>>,
}

/// A connection with its place.
#[derive(Debug)]
struct Seated {
    stream: Opaque,
    _seat: Seat,
}

/// A stream, of which nothing is told.
struct Opaque(Stream);

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

/// A place for a connection, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    relays: Arc<Relays>,
    transfer: Uuid,
    is_source: bool,
}

impl Meeting {
    fn side(&mut self, is_source: bool) -> &mut Side {
        match is_source {
            true => &mut self.sources,
            false => &mut self.destinations,
        }
    }
}

impl Relays {
    /// A place for a connection of one side of a transfer.
    ///
    /// # Errors
    /// [`Kind::Ceiling`].
    pub(crate) fn seat(self: &Arc<Self>, transfer: Uuid, side: Part) -> Result<Seat> {
        let is_source = side == Part::Source;
        let mut open = self.lock();
        let all: usize = open
            .values()
            .map(|meeting| meeting.sources.seats + meeting.destinations.seats)
            .sum();
        let own = open
            .get_mut(&transfer)
            .map_or(0, |meeting| meeting.side(is_source).seats);
        if all >= MOST || own >= OF_TRANSFER {
            return Err(Error::new(
                Kind::Ceiling,
                "the relay",
                "as many connections are open as may",
            ));
        }
        open.entry(transfer).or_default().side(is_source).seats += 1;
        Ok(Seat {
            relays: Arc::clone(self),
            transfer,
            is_source,
        })
    }

    /// How many connections are open.
    pub fn open(&self) -> usize {
        let open = self.lock();
        let seats = open
            .values()
            .map(|meeting| meeting.sources.seats + meeting.destinations.seats);
        seats.sum()
    }

    /// Bytes that were passed on, in both directions.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Meeting>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.relays.lock();
        let Some(meeting) = open.get_mut(&self.transfer) else {
            return;
        };
        let side = meeting.side(self.is_source);
        side.seats = side.seats.saturating_sub(1);
        if meeting.sources.seats + meeting.destinations.seats == 0 {
            open.remove(&self.transfer);
        }
    }
}

/// What became of a connection that came.
enum Met {
    /// Whoever waited for it has it.
    Taken,
    /// It waits itself.
    Waits(Stream, oneshot::Receiver<Seated>, Arc<Relays>),
}

impl Seat {
    /// Has a connection meet one of the other side, and passes bytes on between them until they end.
    pub(crate) async fn meet(self, stream: Stream) {
        let is_source = self.is_source;
        // Its place goes with it, to whoever passes its bytes on; one that waits keeps it here.
        let (mut stream, mut other, relays, _seat) = match self.offer(stream) {
            (Met::Taken, _) => return,
            (Met::Waits(stream, other, relays), seat) => (stream, other, relays, seat),
        };
        let met = match is_source {
            // It says nothing before it is asked: whatever is heard of it is its end.
            true => {
                let mut byte = [0];
                tokio::select! {
                    met = timeout(PATIENCE, &mut other) => met,
                    _ = stream.read(&mut byte) => return,
                }
            }
            false => timeout(PATIENCE, &mut other).await,
        };
        if let Ok(Ok(Seated {
            stream: Opaque(other),
            _seat,
        })) = met
        {
            pass_on(&relays, stream, other).await;
        }
    }

    /// Gives the connection to one that waits, or has it wait.
    fn offer(self, stream: Stream) -> (Met, Option<Self>) {
        let relays = Arc::clone(&self.relays);
        let (transfer, is_source) = (self.transfer, self.is_source);
        let mut seated = Seated {
            stream: Opaque(stream),
            _seat: self,
        };
        let (sender, receiver) = oneshot::channel();
        {
            let mut open = relays.lock();
            let meeting = open.entry(transfer).or_default();
            while let Some(waiting) = meeting.side(!is_source).waiting.pop_front() {
                match waiting.send(seated) {
                    Ok(()) => return (Met::Taken, None),
                    Err(back) => seated = back,
                }
            }
            let own = meeting.side(is_source);
            own.waiting.retain(|waiting| !waiting.is_closed());
            own.waiting.push_back(sender);
        }
        let Seated {
            stream: Opaque(stream),
            _seat,
        } = seated;
        (Met::Waits(stream, receiver, relays), Some(_seat))
    }
}

/// Until one of them ends, or nothing goes for long.
async fn pass_on(relays: &Arc<Relays>, one: Stream, other: Stream) {
    let moved = Arc::new(AtomicU64::new(0));
    let counted = |stream| Counted {
        stream,
        moved: Arc::clone(&moved),
        relays: Arc::clone(relays),
    };
    let (mut one, mut other) = (counted(one), counted(other));
    let is_idle = async {
        let mut before = u64::MAX;
        loop {
            let now = moved.load(Ordering::Relaxed);
            if now == before {
                return;
            }
            before = now;
            sleep(IDLE).await;
        }
    };
    tokio::select! {
        _ = copy_bidirectional_with_sizes(&mut one, &mut other, BUFFER, BUFFER) => {}
        () = is_idle => {}
    }
}

/// A stream whose bytes are counted as they come.
struct Counted {
    stream: Stream,
    moved: Arc<AtomicU64>,
    relays: Arc<Relays>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let came = buffer.filled().len().saturating_sub(before) as u64;
        self.moved.fetch_add(came, Ordering::Relaxed);
        self.relays.bytes.fetch_add(came, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Counted {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// A connection of a side, which has come.
    fn come(relays: &Arc<Relays>, transfer: Uuid, side: Part) -> DuplexStream {
        let (own, theirs) = duplex(64);
        let seat = relays.seat(transfer, side).unwrap();
        tokio::spawn(seat.meet(Box::new(theirs)));
        own
    }

    async fn says(from: &mut DuplexStream, to: &mut DuplexStream) {
        let mut heard = [0; 5];
        from.write_all(b"hello").await.unwrap();
        to.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
    }

    async fn until(wanted: impl Fn() -> bool) {
        while !wanted() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_connection_meets_one_of_the_other_side_of_its_transfer_and_no_other() {
        let relays = Arc::new(Relays::default());
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        let mut source = come(&relays, first, Part::Source);
        let mut stranger = come(&relays, second, Part::Source);
        let mut destination = come(&relays, first, Part::Destination);
        says(&mut destination, &mut source).await;
        says(&mut source, &mut destination).await;
        assert_eq!((relays.bytes(), relays.open()), (10, 3));
        let mut late = come(&relays, second, Part::Destination);
        says(&mut late, &mut stranger).await;
        drop((source, stranger));
        assert_eq!(
            destination.read(&mut [0]).await.unwrap(),
            0,
            "it ends with the other"
        );
        drop((destination, late));
        until(|| relays.open() == 0).await;
    }

    #[tokio::test]
    async fn a_source_that_goes_while_it_waits_is_met_by_nobody() {
        let relays = Arc::new(Relays::default());
        let transfer = Uuid::new_v4();
        drop(come(&relays, transfer, Part::Source));
        until(|| relays.open() == 0).await;
        let mut destination = come(&relays, transfer, Part::Destination);
        let mut source = come(&relays, transfer, Part::Source);
        says(&mut destination, &mut source).await;
    }

    #[tokio::test]
    async fn a_side_has_so_many_connections_and_a_relay_has() {
        let relays = Arc::new(Relays::default());
        let seat = |transfer, side| relays.seat(transfer, side);
        let transfer = Uuid::new_v4();
        let own: Vec<_> = (0..OF_TRANSFER)
            .map(|_| seat(transfer, Part::Source).unwrap())
            .collect();
        let refused = seat(transfer, Part::Source).unwrap_err();
        assert_eq!(refused.kind(), Kind::Ceiling);
        assert!(
            seat(transfer, Part::Destination).is_ok(),
            "the other side has its own"
        );
        let others: Vec<_> = (own.len()..MOST)
            .map(|_| seat(Uuid::new_v4(), Part::Source).unwrap())
            .collect();
        assert!(seat(Uuid::new_v4(), Part::Destination).is_err());
        drop((own, others));
        assert_eq!(relays.open(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_meets_nobody_or_says_nothing_ends() {
        let relays = Arc::new(Relays::default());
        let transfer = Uuid::new_v4();
        let mut alone = come(&relays, transfer, Part::Destination);
        assert_eq!(alone.read(&mut [0]).await.unwrap(), 0);
        let mut source = come(&relays, transfer, Part::Source);
        let mut destination = come(&relays, transfer, Part::Destination);
        says(&mut destination, &mut source).await;
        assert_eq!(source.read(&mut [0]).await.unwrap(), 0);
        until(|| relays.open() == 0).await;
    }
}
