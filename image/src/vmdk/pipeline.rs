//! Grains read, tested for zeros and compressed on several threads, handed on in order.
//!
//! The disk's data is cut into jobs of a few grains. Job `n` goes to worker `n % workers`, and results are taken from the
//! workers in the same turn: order needs no sorting, queues hold two jobs a worker, and memory stays at about two
//! megabytes a worker. What a grain compresses to depends on nothing but its bytes.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use libdeflater::{CompressionLvl, Compressor};

use super::marker::{GRAIN_MARKER_LENGTH, Marker};
use crate::error::{Error, Kind, Place, Result};
use crate::source::{SECTOR, Source, is_zero};

pub(super) const GRAIN: u64 = 65_536;
const GRAIN_LENGTH: usize = 65_536;
const GRAINS_PER_JOB: u64 = 8;
const QUEUE: usize = 2;
const WORKER_LIMIT: usize = 16;

/// A job's outcome.
pub(super) struct Packed {
    /// Grains that hold data: index on the disk, then marker, zlib data and padding as they go into the stream.
    pub(super) grains: Vec<(u64, Vec<u8>)>,
    /// Bytes of the source that the job has covered.
    pub(super) covered: u64,
}

/// Compresses all data of `source` and hands it to `sink`, in the disk's order.
pub(super) fn run(
    source: &dyn Source,
    level: CompressionLvl,
    workers: usize,
    sink: &mut dyn FnMut(Packed) -> Result<()>,
) -> Result<()> {
    let workers = workers.clamp(1, WORKER_LIMIT);
    thread::scope(|scope| {
        let lanes: Vec<Lane> = (0..workers)
            .map(|_| {
                let (jobs, todo) = sync_channel(QUEUE);
                let (done, results) = sync_channel(QUEUE);
                scope.spawn(move || work(source, level, &todo, &done));
                Lane { jobs, results }
            })
            .collect();
        let mut jobs = Jobs::new(source);
        let (mut sent, mut taken) = (0, 0);
        loop {
            while sent < taken + workers * QUEUE {
                let Some(job) = jobs.next()? else { break };
                lanes[sent % workers].jobs.send(job).map_err(|_| worker_died())?;
                sent += 1;
            }
            if taken == sent {
                return Ok(());
            }
            sink(
                lanes[taken % workers]
                    .results
                    .recv()
                    .map_err(|_| worker_died())??,
            )?;
            taken += 1;
        }
    })
}

struct Lane {
    jobs: SyncSender<Range<u64>>,
    results: Receiver<Result<Packed>>,
}

fn worker_died() -> Error {
    Error::new(Kind::Io, Place::Whole, "a compression thread ended early")
}

/// The grains that hold data, cut into ranges of grain numbers.
struct Jobs<'a> {
    source: &'a dyn Source,
    /// What is left of the stretch being cut.
    run: Range<u64>,
}

impl<'a> Jobs<'a> {
    fn new(source: &'a dyn Source) -> Self {
        Self { source, run: 0..0 }
    }

    fn next(&mut self) -> Result<Option<Range<u64>>> {
        if self.run.is_empty() {
            // Two stretches may share a grain: the second begins after it.
            let Some(data) = self.source.next_data(self.run.end * GRAIN)? else {
                return Ok(None);
            };
            self.run = data.start / GRAIN..data.end.div_ceil(GRAIN);
        }
        let job = self.run.start..self.run.end.min(self.run.start + GRAINS_PER_JOB);
        self.run.start = job.end;
        Ok(Some(job))
    }
}

fn work(
    source: &dyn Source,
    level: CompressionLvl,
    jobs: &Receiver<Range<u64>>,
    results: &SyncSender<Result<Packed>>,
) {
    let mut compressor = Compressor::new(level);
    let mut buffer = Vec::new();
    for job in jobs {
        let packed = pack(source, &mut compressor, job, &mut buffer);
        // Nobody listens any more once the sink has failed.
        if results.send(packed).is_err() {
            return;
        }
    }
}

fn pack(
    source: &dyn Source,
    compressor: &mut Compressor,
    job: Range<u64>,
    buffer: &mut Vec<u8>,
) -> Result<Packed> {
    let (start, end) = (job.start * GRAIN, (job.end * GRAIN).min(source.size()));
    let length = usize::try_from(end - start).expect("a job is at most half a megabyte");
    buffer.resize(length, 0);
    source.read_at(start, buffer)?;
    // The disk may end inside its last grain, which is whole in the stream.
    buffer.resize(length.next_multiple_of(GRAIN_LENGTH), 0);
    let grains = job
        .zip(buffer.chunks_exact(GRAIN_LENGTH))
        .filter(|(_, grain)| !is_zero(grain));
    let grains = grains.map(|(index, grain)| Ok((index, compress(compressor, index, grain)?)));
    Ok(Packed {
        grains: grains.collect::<Result<_>>()?,
        covered: end - start,
    })
}

fn compress(compressor: &mut Compressor, index: u64, grain: &[u8]) -> Result<Vec<u8>> {
    let bound = compressor.zlib_compress_bound(grain.len());
    let mut packed = vec![0; GRAIN_MARKER_LENGTH + bound];
    let length = compressor
        .zlib_compress(grain, &mut packed[GRAIN_MARKER_LENGTH..])
        .map_err(|e| {
            Error::new(
                Kind::Capacity,
                Place::Offset(index * GRAIN),
                "a grain could not be compressed",
            )
            .because(e)
        })?;
    let marker = Marker::Grain {
        sector: index * (GRAIN / SECTOR),
        length: u32::try_from(length).expect("a compressed grain is below 4 GiB"),
    };
    packed[..GRAIN_MARKER_LENGTH].copy_from_slice(&marker.render()[..GRAIN_MARKER_LENGTH]);
    packed.truncate(GRAIN_MARKER_LENGTH + length);
    packed.resize(packed.len().next_multiple_of(512), 0);
    Ok(packed)
}
