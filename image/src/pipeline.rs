//! A disk's data cut into blocks that are packed on several threads and handed on in order.
//!
//! Blocks that hold nothing but zeros are left out. The data is cut into jobs of about half a megabyte. Job `n` goes to
//! worker `n % workers`, and results are taken from the workers in the same turn: order needs no sorting, queues hold two
//! jobs a worker, and memory stays at a few megabytes a worker. What a block is packed to depends on its bytes alone.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::error::{Error, Kind, Place, Result};
use crate::source::{Source, is_zero};

const JOB: u64 = 512 << 10;
const QUEUE: usize = 2;
const WORKER_LIMIT: usize = 16;

/// A job's outcome.
pub(crate) struct Packed<T> {
    /// Blocks that hold data: each one's index on the disk, and what it was packed to.
    pub(crate) blocks: Vec<(u64, T)>,
    /// Bytes of the source that the job has covered.
    pub(crate) covered: u64,
}

/// Packs one whole block of the given index. Each worker has its own.
pub(crate) type Packer<T> = Box<dyn FnMut(u64, &[u8]) -> Result<T>>;

/// Packs all data of `source`, in blocks of `block` bytes, and hands it to `sink` in the disk's order.
pub(crate) fn run<T: Send>(
    source: &dyn Source,
    block: u64,
    workers: usize,
    packer: &(dyn Fn() -> Result<Packer<T>> + Sync),
    sink: &mut dyn FnMut(Packed<T>) -> Result<()>,
) -> Result<()> {
    let workers = workers.clamp(1, WORKER_LIMIT);
    thread::scope(|scope| {
        let lanes: Vec<Lane<T>> = (0..workers)
            .map(|_| {
                let (jobs, todo) = sync_channel(QUEUE);
                let (done, results) = sync_channel(QUEUE);
                scope.spawn(move || work(source, block, packer, &todo, &done));
                Lane { jobs, results }
            })
            .collect();
        let mut jobs = Jobs {
            source,
            block,
            run: 0..0,
        };
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
            let result = lanes[taken % workers].results.recv();
            sink(result.map_err(|_| worker_died())??)?;
            taken += 1;
        }
    })
}

struct Lane<T> {
    jobs: SyncSender<Range<u64>>,
    results: Receiver<Result<Packed<T>>>,
}

fn worker_died() -> Error {
    Error::new(Kind::Io, Place::Whole, "a packing thread ended early")
}

/// The blocks that hold data, cut into ranges of block numbers.
struct Jobs<'a> {
    source: &'a dyn Source,
    block: u64,
    /// What is left of the stretch being cut.
    run: Range<u64>,
}

impl Jobs<'_> {
    fn next(&mut self) -> Result<Option<Range<u64>>> {
        if self.run.is_empty() {
            // Two stretches may share a block: the second begins after it.
            let Some(data) = self.source.next_data(self.run.end * self.block)? else {
                return Ok(None);
            };
            self.run = data.start / self.block..data.end.div_ceil(self.block);
        }
        let most = (JOB / self.block).max(1);
        let job = self.run.start..self.run.end.min(self.run.start + most);
        self.run.start = job.end;
        Ok(Some(job))
    }
}

fn work<T>(
    source: &dyn Source,
    block: u64,
    packer: &(dyn Fn() -> Result<Packer<T>> + Sync),
    jobs: &Receiver<Range<u64>>,
    results: &SyncSender<Result<Packed<T>>>,
) {
    let mut buffer = Vec::new();
    let mut packer = match packer() {
        Ok(packer) => packer,
        Err(e) => {
            // Who sends jobs learns it from the first result.
            let _ = results.send(Err(e));
            return jobs.iter().for_each(drop);
        }
    };
    for job in jobs {
        let packed = pack(source, block, &mut packer, job, &mut buffer);
        // Nobody listens any more once the sink has failed.
        if results.send(packed).is_err() {
            return;
        }
    }
}

fn pack<T>(
    source: &dyn Source,
    block: u64,
    packer: &mut Packer<T>,
    job: Range<u64>,
    buffer: &mut Vec<u8>,
) -> Result<Packed<T>> {
    let (start, end) = (job.start * block, (job.end * block).min(source.size()));
    let size = |length: u64| usize::try_from(length).expect("a job is a few megabytes at most");
    buffer.resize(size(end - start), 0);
    source.read_at(start, buffer)?;
    // The disk may end inside its last block, which is packed whole.
    buffer.resize(buffer.len().next_multiple_of(size(block)), 0);
    let blocks = job.zip(buffer.chunks_exact(size(block)));
    let blocks = blocks.filter(|(_, bytes)| !is_zero(bytes));
    let blocks = blocks.map(|(index, bytes)| Ok((index, packer(index, bytes)?)));
    Ok(Packed {
        blocks: blocks.collect::<Result<_>>()?,
        covered: end - start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Composed, Memory};

    fn lengths() -> Result<Packer<usize>> {
        Ok(Box::new(|_, block: &[u8]| Ok(block.len())))
    }

    #[test]
    fn blocks_come_whole_in_order_and_zeros_do_not() {
        let mut disk = Composed::new((10 << 20) + 1);
        for at in [5, 4 << 20, (4 << 20) + 4096, 10 << 20] {
            disk.put(at, vec![1]).unwrap();
        }
        disk.put(1 << 20, vec![0; 100_000]).unwrap();
        let mut blocks = Vec::new();
        run(&disk, 4096, 3, &lengths, &mut |job| {
            blocks.extend(job.blocks);
            Ok(())
        })
        .unwrap();
        assert_eq!(blocks, [(0, 4096), (1024, 4096), (1025, 4096), (2560, 4096)]);
    }

    #[test]
    fn failures_of_packers_and_sinks_end_the_run() {
        let disk = Memory(vec![1; 8 << 20]);
        let full = || Error::new(Kind::Capacity, Place::Whole, "full");
        let kind = |ended: Result<()>| ended.unwrap_err().kind();
        assert_eq!(
            kind(run(&disk, 65_536, 3, &lengths, &mut |_| Err(full()))),
            Kind::Capacity
        );
        let none = || -> Result<Packer<usize>> { Err(full()) };
        assert_eq!(
            kind(run(&disk, 65_536, 3, &none, &mut |_| Ok(()))),
            Kind::Capacity
        );
        let fails = || -> Result<Packer<usize>> { Ok(Box::new(move |_, _| Err(full()))) };
        assert_eq!(
            kind(run(&disk, 65_536, 3, &fails, &mut |_| Ok(()))),
            Kind::Capacity
        );
    }
}
