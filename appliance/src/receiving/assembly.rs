//! Where the parts of a file become the file: on a thread of its own, which may wait for the disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedMutexGuard, mpsc};

use super::fault::Fault;
use super::queue::{Part, Queue};
use crate::catalog::Coming;
use crate::chunk::{Chunk, Known};
use crate::error::{Error, Kind, Result};
use crate::transfer::Refusal;

/// What is to be done with a file.
pub(super) enum Work {
    /// Whole chunks came, one directly after the other; or bytes without an index.
    Block {
        offset: u64,
        bytes: Vec<u8>,
        chunks: Vec<Chunk>,
        was_wrong: bool,
    },
    /// The tenant may have a chunk in another file.
    Copy {
        offset: u64,
        candidate: usize,
        from: u64,
        chunk: Chunk,
    },
    /// All of a part came.
    End,
}

/// What has come of a transfer so far, in bytes.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// That are where they belong.
    pub(super) done: AtomicU64,
    /// Over the network.
    pub(super) wire: AtomicU64,
    /// That were here.
    pub(super) reused: AtomicU64,
}

impl Counts {
    /// Bytes of a file were here when it was begun.
    pub(super) fn here(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of a small file came, and are where they belong.
    pub(super) fn came(&self, bytes: u64) {
        self.wire.fetch_add(bytes, Ordering::Relaxed);
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes came, and are kept nowhere.
    pub(super) fn passed(&self, bytes: u64) {
        self.wire.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was counted before a restart.
    pub(super) fn begin_at(&self, wire: u64, reused: u64) {
        self.wire.fetch_add(wire, Ordering::Relaxed);
        self.reused.fetch_add(reused, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> (u64, u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.done), read(&self.wire), read(&self.reused))
    }
}

/// A file that is put together.
pub(super) struct Assembly {
    pub(super) name: String,
    pub(super) coming: OwnedMutexGuard<Coming>,
    pub(super) known: Option<Arc<Known>>,
    pub(super) queue: Arc<Queue>,
    pub(super) counts: Arc<Counts>,
    /// What was placed beyond the first byte that is missing: where it begins, and ends.
    ahead: BTreeMap<u64, u64>,
    chunk: Vec<u8>,
}

impl Assembly {
    pub(super) fn new(
        name: String,
        coming: OwnedMutexGuard<Coming>,
        known: Option<Arc<Known>>,
        queue: Arc<Queue>,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            name,
            coming,
            known,
            queue,
            counts,
            ahead: BTreeMap::new(),
            chunk: Vec::new(),
        }
    }

    /// Does what comes until nothing comes any more, and gives the file back, as far as it is there.
    pub(super) fn run(mut self, mut works: mpsc::Receiver<Work>) -> OwnedMutexGuard<Coming> {
        while let Some(work) = works.blocking_recv() {
            if let Err(fault) = self.take(work) {
                self.queue.fail(fault);
                break;
            }
        }
        // What is on the disk when nobody works on it is what a restart goes on with.
        self.coming.pause();
        self.coming
    }

    fn take(&mut self, work: Work) -> Result<(), Fault> {
        match work {
            Work::Block {
                offset,
                bytes,
                chunks,
                was_wrong,
            } => self.block(offset, &bytes, &chunks, was_wrong),
            Work::Copy {
                offset,
                candidate,
                from,
                chunk,
            } => self.copy(offset, candidate, from, chunk),
            Work::End => {
                self.queue.done();
                Ok(())
            }
        }
    }

    fn block(&mut self, offset: u64, bytes: &[u8], chunks: &[Chunk], was_wrong: bool) -> Result<(), Fault> {
        if chunks.is_empty() {
            return Ok(self.put(offset, bytes)?);
        }
        // What is right goes to the disk at once, as far as it hangs together.
        let (mut right, mut at) = (0..0, 0);
        for chunk in chunks {
            let end = at + usize::try_from(chunk.length).unwrap_or(usize::MAX);
            let own = bytes.get(at..end).unwrap_or_default();
            if chunk.is(own) {
                right.end = end;
            } else {
                self.put_range(offset, bytes, right)?;
                right = end..end;
                self.wrong(offset + at as u64, *chunk, was_wrong)?;
            }
            at = end;
        }
        Ok(self.put_range(offset, bytes, right)?)
    }

    /// A chunk is another than the index says: it is fetched once more, and then its source is known for a liar.
    fn wrong(&mut self, offset: u64, chunk: Chunk, was_wrong: bool) -> Result<(), Fault> {
        if was_wrong {
            let reason =
                "the source sent another chunk than its index says, and again when it was asked once more";
            let refusal = Refusal::new("source.chunk", reason);
            return Err(refusal.of_file(&self.name).at_chunk(offset).into());
        }
        self.queue.add(Part {
            offset,
            length: u64::from(chunk.length),
            chunks: vec![chunk],
            was_wrong: true,
        });
        Ok(())
    }

    fn copy(&mut self, offset: u64, candidate: usize, from: u64, chunk: Chunk) -> Result<(), Fault> {
        let mut bytes = std::mem::take(&mut self.chunk);
        let is_it = self
            .known
            .as_ref()
            .is_some_and(|known| known.read(candidate, from, &chunk, &mut bytes));
        if is_it {
            self.put(offset, &bytes)?;
            self.counts
                .reused
                .fetch_add(u64::from(chunk.length), Ordering::Relaxed);
        } else {
            self.queue.add(Part {
                offset,
                length: u64::from(chunk.length),
                chunks: vec![chunk],
                was_wrong: false,
            });
        }
        self.chunk = bytes;
        self.queue.done();
        Ok(())
    }

    fn put_range(&mut self, offset: u64, bytes: &[u8], range: std::ops::Range<usize>) -> Result<()> {
        let start = range.start as u64;
        match bytes.get(range) {
            Some(part) if !part.is_empty() => self.put(offset + start, part),
            _ => Ok(()),
        }
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let Coming::Partial(partial) = &mut *self.coming else {
            return Err(Error::new(Kind::Ceiling, &*self.name, "takes no more"));
        };
        let end = offset + bytes.len() as u64;
        if offset == partial.received() {
            partial.write(offset, bytes)?;
        } else {
            partial.place(offset, bytes)?;
            // It may close a gap between two others.
            let mut range = (offset, end);
            if let Some((start, before)) = self.ahead.range(..offset).next_back().map(|(a, b)| (*a, *b))
                && before == offset
            {
                range.0 = start;
            }
            if let Some(after) = self.ahead.remove(&end) {
                range.1 = after;
            }
            self.ahead.insert(range.0, range.1);
        }
        while let Some(end) = self.ahead.remove(&partial.received()) {
            partial.advance(end)?;
        }
        self.counts.done.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}
