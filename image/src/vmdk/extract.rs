//! A stream extracted in one pass: read, hashed and proved on one thread, inflated and written on the others.
//!
//! The reader cuts the stream into jobs of about a megabyte of disk, whose order no longer matters: each knows its place.
//! The queue holds one job a worker, buffers go round, and memory stays at about three megabytes a worker, at seven for a
//! hostile stream.

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use libdeflater::Decompressor;

use super::inflate::PackedGrain;
use super::{Stream, Summary};
use crate::error::{Error, Kind, Place, Result};
use crate::source::{Sink, write_data};

/// Bytes of the disk in a job, and bytes of the stream after which it takes no further grain.
const JOB: usize = 1 << 20;
const WORKER_LIMIT: usize = 8;

/// Writes the raw disk inside the stream `input` to `sink`, an empty one, holes and zeros left out. `capacity_limit` is
/// the largest disk in bytes that the caller expects.
///
/// `seen` gets every byte read from `input`, in order, once: for a digest, and for progress. Up to `threads` threads, 8
/// at most, inflate beside the calling one. Until this has returned without an error, what `sink` got is not to be
/// trusted, for a stream proves itself sound with its last byte.
///
/// # Errors
/// As [`Stream::open`] and [`Stream::next_grain`], and whatever `sink` gives.
pub fn extract(
    input: impl Read,
    capacity_limit: u64,
    sink: &dyn Sink,
    threads: NonZeroUsize,
    seen: &mut dyn FnMut(&[u8]),
) -> Result<Summary> {
    let mut stream = Stream::open(Observed { input, seen }, capacity_limit)?;
    sink.set_size(stream.header().capacity_bytes())?;
    let grain_bytes = stream.header().grain_bytes();
    let workers = threads.get().min(WORKER_LIMIT);
    let shared = Shared {
        grain_bytes,
        sink,
        spare: Mutex::new(Vec::new()),
        failure: Mutex::new(None),
    };
    let read = thread::scope(|scope| {
        let (jobs, todo) = sync_channel(workers);
        // The workers own the receiving end: once all have failed, sending fails too.
        let todo = Arc::new(Mutex::new(todo));
        for _ in 0..workers {
            let (todo, shared) = (Arc::clone(&todo), &shared);
            scope.spawn(move || shared.work(&todo));
        }
        drop(todo);
        feed(&mut stream, &jobs, &shared)
    });
    // What a worker met lies before what the reader met.
    match shared
        .failure
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
    {
        Some(error) => Err(error),
        None => read.map(|()| stream.summary()),
    }
}

/// Neighbouring grains, as they are stored.
#[derive(Default)]
struct Job {
    bytes: Vec<u8>,
    grains: Vec<PackedGrain>,
    /// Where the last grain ends on the disk.
    end: u64,
}

fn feed<R: Read>(stream: &mut Stream<R>, jobs: &SyncSender<Job>, shared: &Shared<'_>) -> Result<()> {
    let stopped = || Error::new(Kind::Io, Place::Whole, "an extraction thread ended early");
    let mut job = shared.empty();
    loop {
        let start = job.bytes.len();
        let Some(mut grain) = stream.next_packed(&mut job.bytes)? else {
            break;
        };
        let full = (job.grains.len() + 1) * shared.grain_bytes > JOB || start >= JOB;
        if !job.grains.is_empty() && (full || grain.offset != job.end) {
            if lock(&shared.failure).is_some() {
                return Err(stopped());
            }
            let mut next = shared.empty();
            next.bytes.extend_from_slice(&job.bytes[start..]);
            grain = grain.moved_to_start(start);
            jobs.send(std::mem::replace(&mut job, next))
                .map_err(|_| stopped())?;
        }
        job.end = grain.offset + grain.length as u64;
        job.grains.push(grain);
    }
    jobs.send(job).map_err(|_| stopped())
}

struct Shared<'a> {
    grain_bytes: usize,
    sink: &'a dyn Sink,
    /// Jobs that are done, for their buffers.
    spare: Mutex<Vec<Job>>,
    /// The first thing that a worker could not do.
    failure: Mutex<Option<Error>>,
}

impl Shared<'_> {
    fn empty(&self) -> Job {
        let spare = lock(&self.spare).pop();
        let mut job = spare.unwrap_or_else(|| Job {
            // All that it may come to hold: growing would take twice that.
            bytes: Vec::with_capacity(JOB + 2 * self.grain_bytes + 1024),
            ..Job::default()
        });
        job.bytes.clear();
        job.grains.clear();
        job
    }

    fn work(&self, todo: &Mutex<Receiver<Job>>) {
        let mut decompressor = Decompressor::new();
        let mut raw = Vec::new();
        loop {
            let next = lock(todo).recv();
            let Ok(job) = next else { return };
            if let Err(error) = self.run(&job, &mut decompressor, &mut raw) {
                lock(&self.failure).get_or_insert(error);
                return;
            }
            lock(&self.spare).push(job);
        }
    }

    fn run(&self, job: &Job, decompressor: &mut Decompressor, raw: &mut Vec<u8>) -> Result<()> {
        let Some(first) = job.grains.first() else {
            return Ok(());
        };
        raw.resize(job.grains.len() * self.grain_bytes, 0);
        for (grain, target) in job.grains.iter().zip(raw.chunks_exact_mut(self.grain_bytes)) {
            grain.inflate(&job.bytes, decompressor, target)?;
        }
        // Only the disk's last grain is shorter than a grain.
        let length = usize::try_from(job.end - first.offset).expect("a job is about a megabyte");
        write_data(self.sink, first.offset, &raw[..length])
    }
}

/// A poisoned lock belongs to a panic that is on its way up.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows what it reads.
struct Observed<'a, R> {
    input: R,
    seen: &'a mut dyn FnMut(&[u8]),
}

impl<R: Read> Read for Observed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        (self.seen)(&buffer[..count]);
        Ok(count)
    }
}
