//! A disk's data cut into blocks that are packed on several threads and handed on in order.
//!
//! Blocks that hold nothing but zeros are left out. The data comes in jobs of about half a megabyte. Job `n` goes to
//! worker `n % workers`, and results are taken from the workers in the same turn: order needs no sorting, queues hold two
//! jobs a worker, and memory stays below 32 MiB, if need be by fewer workers. What a block is packed to depends on its bytes alone.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::error::{Error, Kind, Place, Result};
use crate::feed::{Feed, JOB, Job};
use crate::source::{Progress, is_zero, length};
use crate::spare::Spare;

const QUEUE: usize = 2;
const WORKER_LIMIT: usize = 16;
/// Bytes in memory for jobs on their way. Tables and what is kept of an image have the rest of 64 MiB.
const BUDGET: u64 = 32 << 20;

/// A job's bytes.
pub(crate) struct Filled {
    start: u64,
    /// Bytes of the disk. The buffer goes on with zeros to the end of the last block.
    known: usize,
    block: usize,
    buffer: Vec<u8>,
    /// The numbers of blocks in the buffer that hold anything but zeros.
    held: Vec<usize>,
    spare: Spare,
}

impl Filled {
    fn new(job: Job<'_>, block: usize, spare: &Spare) -> Result<Self> {
        let known = length(job.range.end - job.range.start);
        let mut filled = Self {
            start: job.range.start,
            known,
            block,
            buffer: spare.take().unwrap_or_default(),
            held: Vec::new(),
            spare: spare.clone(),
        };
        let buffer = &mut filled.buffer;
        buffer.resize(known.next_multiple_of(block), 0);
        (job.fill)(&mut buffer[..known])?;
        buffer[known..].fill(0);
        let blocks = buffer.chunks_exact(block).enumerate();
        filled.held = blocks
            .filter(|(_, block)| !is_zero(block))
            .map(|(number, _)| number)
            .collect();
        Ok(filled)
    }

    /// The whole blocks that hold data: each one's index on the disk, and its bytes.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let first = self.start / self.block as u64;
        let bytes = |number: usize| &self.buffer[number * self.block..(number + 1) * self.block];
        self.held
            .iter()
            .map(move |&number| (first + number as u64, bytes(number)))
    }

    /// The same as long stretches, by their offsets on the disk, which none of them outruns.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let runs = self.held.chunk_by(|a, b| a + 1 == *b);
        let bounds = |run: &[usize]| -> Range<usize> {
            run[0] * self.block..((run[run.len() - 1] + 1) * self.block).min(self.known)
        };
        runs.map(bounds)
            .map(|bounds| (self.start + bounds.start as u64, &self.buffer[bounds]))
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        self.spare.put(std::mem::take(&mut self.buffer));
    }
}

/// Packs a job's blocks. Each worker has its own.
pub(crate) type Packer<'p, T> = Box<dyn FnMut(Filled) -> Result<T> + 'p>;

/// Packs all data of `feed`, in blocks of `block` bytes, and hands it to `sink` in the disk's order.
pub(crate) fn run<'a, 'p, T: Send>(
    feed: &mut dyn Feed<'a>,
    block: u64,
    workers: usize,
    packer: &(dyn Fn() -> Result<Packer<'p, T>> + Sync),
    sink: &mut dyn FnMut(T) -> Result<()>,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let workers = workers.min(affordable(feed, block)).max(1);
    let mut report = Progress {
        done: 0,
        total: feed.total()?,
    };
    let spare = Spare::default();
    thread::scope(|scope| {
        let lanes: Vec<Lane<'a, T>> = (0..workers)
            .map(|_| {
                let (jobs, todo) = sync_channel(QUEUE);
                let (done, results) = sync_channel(QUEUE);
                let spare = &spare;
                scope.spawn(move || work(length(block), packer, spare, &todo, &done));
                Lane { jobs, results }
            })
            .collect();
        // What each job on its way covers.
        let mut covered = std::collections::VecDeque::new();
        let (mut sent, mut end) = (0, None);
        loop {
            while end.is_none() && covered.len() < workers * QUEUE {
                let job = match feed.next(block) {
                    Ok(Some(job)) => job,
                    // What the workers meet lies before what the feed met.
                    ended => {
                        end = Some(ended.map(|_| ()));
                        break;
                    }
                };
                covered.push_back(job.range.end - job.range.start);
                lanes[sent % workers].jobs.send(job).map_err(|_| worker_died())?;
                sent += 1;
            }
            let turn = sent - covered.len();
            let Some(covered) = covered.pop_front() else {
                return end.unwrap_or(Ok(())).and_then(|()| feed.finish());
            };
            let result = lanes[turn % workers].results.recv();
            sink(result.map_err(|_| worker_died())??)?;
            // Blocks round stretches of data up.
            report.done = (report.done + covered).min(report.total);
            progress(report);
        }
    })
}

/// How many workers the budget has room for: a job is in memory as it was read and as it was packed.
fn affordable(feed: &dyn Feed<'_>, block: u64) -> usize {
    let job = 2 * block.max(JOB) + feed.memory(block);
    length(BUDGET / (QUEUE as u64 * job)).min(WORKER_LIMIT)
}

struct Lane<'a, T> {
    jobs: SyncSender<Job<'a>>,
    results: Receiver<Result<T>>,
}

fn worker_died() -> Error {
    Error::new(Kind::Io, Place::Whole, "a packing thread ended early")
}

fn work<'p, T>(
    block: usize,
    packer: &(dyn Fn() -> Result<Packer<'p, T>> + Sync),
    spare: &Spare,
    jobs: &Receiver<Job<'_>>,
    results: &SyncSender<Result<T>>,
) {
    let mut packer = match packer() {
        Ok(packer) => packer,
        Err(e) => {
            // Who sends jobs learns it from the first result.
            let _ = results.send(Err(e));
            return jobs.iter().for_each(drop);
        }
    };
    for job in jobs {
        let packed = Filled::new(job, block, spare).and_then(&mut packer);
        // Nobody listens any more once the sink has failed.
        if results.send(packed).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Scan;
    use crate::source::{Composed, Memory, Source};

    type Lengths = Vec<(u64, usize)>;

    fn lengths<'p>() -> Result<Packer<'p, Lengths>> {
        Ok(Box::new(|job: Filled| {
            Ok(job.blocks().map(|(index, block)| (index, block.len())).collect())
        }))
    }

    fn over(
        disk: &dyn Source,
        block: u64,
        packer: &(dyn Fn() -> Result<Packer<'static, Lengths>> + Sync),
        sink: &mut dyn FnMut(Lengths) -> Result<()>,
    ) -> Result<()> {
        run(&mut Scan::new(disk), block, 3, packer, sink, &mut |_| {})
    }

    #[test]
    fn blocks_come_whole_in_order_and_zeros_do_not() {
        let mut disk = Composed::new((10 << 20) + 1);
        for at in [5, 4 << 20, (4 << 20) + 4096, 10 << 20] {
            disk.put(at, vec![1]).unwrap();
        }
        disk.put(1 << 20, vec![0; 100_000]).unwrap();
        let mut blocks = Vec::new();
        over(&disk, 4096, &lengths, &mut |job| {
            blocks.extend(job);
            Ok(())
        })
        .unwrap();
        assert_eq!(blocks, [(0, 4096), (1024, 4096), (1025, 4096), (2560, 4096)]);
    }

    #[test]
    fn neighbouring_blocks_make_stretches_that_end_with_the_disk() {
        let mut disk = Composed::new(20_000);
        disk.put(1, vec![1; 5000]).unwrap();
        disk.put(17_000, vec![1]).unwrap();
        let mut stretches = Vec::new();
        let packer = || -> Result<Packer<'_, Lengths>> {
            Ok(Box::new(|job: Filled| {
                Ok(job.stretches().map(|(at, bytes)| (at, bytes.len())).collect())
            }))
        };
        over(&disk, 4096, &packer, &mut |job| {
            stretches.extend(job);
            Ok(())
        })
        .unwrap();
        assert_eq!(stretches, [(0, 8192), (16_384, 3616)]);
    }

    #[test]
    fn large_blocks_and_greedy_sources_get_fewer_workers() {
        struct Greedy(u64);
        impl Source for Greedy {
            fn size(&self) -> u64 {
                0
            }
            fn next_data(&self, _: u64) -> Result<Option<Range<u64>>> {
                Ok(None)
            }
            fn read_at(&self, _: u64, _: &mut [u8]) -> Result<()> {
                Ok(())
            }
            fn reading_memory(&self) -> u64 {
                self.0
            }
        }
        let workers = |memory, block| affordable(&Scan::new(&Greedy(memory)), block);
        assert_eq!((workers(0, 65_536), workers(0, 2 << 20)), (16, 4));
        assert_eq!(workers(6 << 20, 65_536), 2);
    }

    #[test]
    fn failures_of_packers_and_sinks_end_the_run() {
        let disk = Memory(vec![1; 8 << 20]);
        let full = || Error::new(Kind::Capacity, Place::Whole, "full");
        let kind = |ended: Result<()>| ended.unwrap_err().kind();
        assert_eq!(
            kind(over(&disk, 65_536, &lengths, &mut |_| Err(full()))),
            Kind::Capacity
        );
        let none = || -> Result<Packer<'_, Lengths>> { Err(full()) };
        assert_eq!(kind(over(&disk, 65_536, &none, &mut |_| Ok(()))), Kind::Capacity);
        let fails = || -> Result<Packer<'_, Lengths>> { Ok(Box::new(move |_| Err(full()))) };
        assert_eq!(kind(over(&disk, 65_536, &fails, &mut |_| Ok(()))), Kind::Capacity);
    }
}
