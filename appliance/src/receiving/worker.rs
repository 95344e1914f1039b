//! One connection to the source, over which parts come one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::assembly::{Counts, Work};
use super::fault::Fault;
use super::pace::Pace;
use super::queue::{Part, Queue};
use super::source::Source;
use crate::client::{Client, Flow};
use crate::error::{Error, Kind, Result};
use crate::transfer::{OfferedFile, Refusal};

/// Bytes that are handed on together, at least: whole chunks.
const BLOCK: usize = 512 << 10;
/// In so long at least so many bytes come, or the connection is given up.
const PATIENCE: Duration = Duration::from_secs(30);
const LEAST: usize = 30 << 10;
/// Failures one after the other, over all connections, after which nobody tries again.
const TRIES: u32 = 10;
/// Between the first two tries; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// What the connections of a transfer share.
pub(super) struct Shared {
    pub(super) source: Source,
    pub(super) pace: Pace,
    pub(super) counts: Arc<Counts>,
    /// Failures since something came.
    pub(super) failures: AtomicU32,
}

/// Fetches parts for as long as there are any. The client that is given is a connection that was made before.
pub(super) async fn work(
    shared: &Shared,
    file: &OfferedFile,
    queue: &Queue,
    works: mpsc::Sender<Work>,
    mut client: Option<Client>,
) -> Option<Client> {
    loop {
        shared.pace.open().await;
        let Some(mut part) = queue.next().await else {
            return client;
        };
        let Err(error) = fetch(shared, file, &mut part, &works, &mut client).await else {
            continue;
        };
        client = None;
        if works.is_closed() {
            // Whoever puts the file together has told why.
            return None;
        }
        if error.kind() == Kind::Malformed {
            // What wasn't asked for is no trouble on the way: the source is asked once more, and then it is known for it.
            if part.was_wrong {
                let refusal = Refusal::new("source.part", error.chain());
                queue.fail(refusal.of_file(&file.name).at_chunk(part.offset).into());
                return None;
            }
            part.was_wrong = true;
            queue.again(part);
            continue;
        }
        let failures = shared.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= TRIES || !is_for_another_try(&error) {
            queue.fail(Fault::Failed(error));
            return None;
        }
        queue.again(part);
        let pause = PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
        sleep(pause).await;
    }
}

fn is_for_another_try(error: &Error) -> bool {
    !matches!(error.kind(), Kind::Refused | Kind::Stranger)
}

/// Fetches a part; what is left of it where that fails is what has to be fetched again.
async fn fetch(
    shared: &Shared,
    file: &OfferedFile,
    part: &mut Part,
    works: &mpsc::Sender<Work>,
    client: &mut Option<Client>,
) -> Result<()> {
    let own = match client {
        Some(own) => own,
        None => client.insert(shared.source.connect().await?),
    };
    let mut flow = shared.source.part(own, file, part).await?;
    let mut bytes = Vec::with_capacity(BLOCK + BLOCK / 8);
    if let Err(error) = take(shared, &mut flow, part, &mut bytes, works).await {
        // What came whole before that needn't come again; it counts as something from where a connection isn't given up as too slow.
        let before = part.offset;
        hand_on(part, &mut bytes, works).await?;
        if part.offset - before >= LEAST as u64 {
            shared.failures.store(0, Ordering::Relaxed);
        }
        if part.length > 0 {
            return Err(error);
        }
        *client = None;
        return works.send(Work::End).await.map_err(|_| closed());
    }
    // The end of the answer, by which the connection is good for another request.
    let end = timeout(PATIENCE, flow.answer.body_mut().frame()).await;
    if matches!(end, Ok(None))
        && let Some(own) = client
    {
        own.reuse(flow);
    }
    works.send(Work::End).await.map_err(|_| closed())
}

/// Takes the bytes of a part as they come.
async fn take(
    shared: &Shared,
    flow: &mut Flow,
    part: &mut Part,
    bytes: &mut Vec<u8>,
    works: &mpsc::Sender<Work>,
) -> Result<()> {
    let (mut since, mut came) = (Instant::now(), 0);
    loop {
        let broke = |reason: &str| Error::new(Kind::Unreachable, "the source", reason);
        let frame = timeout(PATIENCE, flow.answer.body_mut().frame()).await;
        let frame = frame.map_err(|_| broke("sends nothing any more"))?;
        if let Some(frame) = frame {
            let data = frame
                .map_err(|error| broke("broke off").because(error))?
                .into_data();
            let data = data.unwrap_or_default();
            shared.counts.wire.fetch_add(data.len() as u64, Ordering::Relaxed);
            if bytes.len() as u64 + data.len() as u64 > part.length {
                return Err(Error::new(
                    Kind::Malformed,
                    "the source",
                    "sends more than was asked for",
                ));
            }
            bytes.extend_from_slice(&data);
            shared.pace.take(data.len()).await;
            came += data.len();
            if since.elapsed() >= PATIENCE {
                if came < LEAST {
                    return Err(broke("sends too slowly"));
                }
                (since, came) = (Instant::now(), 0);
            }
            if bytes.len() < BLOCK {
                continue;
            }
        } else if bytes.len() as u64 != part.length {
            return Err(broke("broke off"));
        }
        hand_on(part, bytes, works).await?;
        shared.failures.store(0, Ordering::Relaxed);
        if part.length == 0 {
            return Ok(());
        }
    }
}

/// Hands on the chunks that are whole; the part is then what is left.
async fn hand_on(part: &mut Part, bytes: &mut Vec<u8>, works: &mpsc::Sender<Work>) -> Result<()> {
    let (mut end, mut whole) = (0, 0);
    for chunk in &part.chunks {
        let longer = end + usize::try_from(chunk.length).unwrap_or(usize::MAX);
        if longer > bytes.len() {
            break;
        }
        (end, whole) = (longer, whole + 1);
    }
    if part.chunks.is_empty() {
        end = bytes.len();
    }
    if end == 0 {
        return Ok(());
    }
    let mut rest = Vec::with_capacity(BLOCK + BLOCK / 8);
    rest.extend_from_slice(bytes.get(end..).unwrap_or_default());
    bytes.truncate(end);
    let block = std::mem::replace(bytes, rest);
    let left = part.chunks.split_off(whole);
    let work = Work::Block {
        offset: part.offset,
        bytes: block,
        chunks: std::mem::replace(&mut part.chunks, left),
        was_wrong: part.was_wrong,
    };
    works.send(work).await.map_err(|_| closed())?;
    part.offset += end as u64;
    part.length -= end as u64;
    Ok(())
}

fn closed() -> Error {
    Error::new(Kind::Io, "the file", "takes no more")
}
