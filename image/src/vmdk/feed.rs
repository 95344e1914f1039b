//! A stream as a feed: read and proved on one thread, its grains inflated on the others.

use std::io::Read;

use libdeflater::Decompressor;

use super::Stream;
use super::inflate::PackedGrain;
use crate::error::Result;
use crate::feed::{Feed, JOB, Job};
use crate::source::length;
use crate::spare::Spare;

/// The grains of a stream. Until all of them were taken and [`Feed::next`] has given nothing, what they held is not to be
/// trusted: a stream proves itself sound with its last byte.
pub(crate) struct Grains<R> {
    stream: Stream<R>,
    /// The grain that belongs to the next job.
    pending: Option<(PackedGrain, Vec<u8>)>,
    ended: bool,
    /// Buffers of jobs that are done.
    spare: Spare,
}

impl<R: Read> Grains<R> {
    pub(crate) fn new(stream: Stream<R>) -> Self {
        Self {
            stream,
            pending: None,
            ended: false,
            spare: Spare::default(),
        }
    }

    /// Grains and blocks are powers of two: a window's bounds are on the boundaries of both.
    fn window(&self, block: u64) -> u64 {
        JOB.max(block).max(self.stream.header().grain_bytes() as u64)
    }

    fn buffer(&self, window: u64) -> Vec<u8> {
        let mut buffer = self.spare.take().unwrap_or_else(|| {
            // What grains that don't compress come to: growing would take twice that.
            Vec::with_capacity(length(window) + self.stream.header().grain_bytes() * 2)
        });
        buffer.clear();
        buffer
    }
}

impl<'a, R: Read> Feed<'a> for Grains<R> {
    fn size(&self) -> u64 {
        self.stream.header().capacity_bytes()
    }

    fn total(&self) -> Result<u64> {
        Ok(0)
    }

    /// What is stored of a window and of the grain behind it, a quarter longer than they inflate to; and where grains are
    /// larger than blocks, the windows are, too.
    fn memory(&self, block: u64) -> u64 {
        let (window, grain) = (self.window(block), self.stream.header().grain_bytes() as u64);
        (window + grain) / 4 * 5 + 2 * (window - JOB.max(block))
    }

    fn next(&mut self, block: u64) -> Result<Option<Job<'a>>> {
        let (grain_bytes, window) = (self.stream.header().grain_bytes(), self.window(block));
        let (mut grains, mut bytes) = match self.pending.take() {
            Some((grain, bytes)) => (vec![grain], bytes),
            None => (Vec::new(), self.buffer(window)),
        };
        while !self.ended {
            let start = bytes.len();
            let Some(grain) = self.stream.next_packed(&mut bytes)? else {
                self.ended = true;
                break;
            };
            let first = grains.first().map_or(grain.offset, |grain| grain.offset);
            if grain.offset / window != first / window {
                let mut next = self.buffer(window);
                next.extend_from_slice(&bytes[start..]);
                bytes.truncate(start);
                self.pending = Some((grain.moved_to_start(start), next));
                break;
            }
            grains.push(grain);
        }
        let (Some(first), Some(last)) = (grains.first(), grains.last()) else {
            return Ok(None);
        };
        let start = first.offset / block * block;
        let end = (last.offset + last.length as u64).next_multiple_of(block);
        let packed = Packed {
            bytes,
            grains,
            grain_bytes,
            spare: self.spare.clone(),
        };
        Ok(Some(Job {
            range: start..end.min(self.size()),
            fill: Box::new(move |buffer| packed.inflate(start, buffer)),
        }))
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Grains as they are stored.
struct Packed {
    bytes: Vec<u8>,
    grains: Vec<PackedGrain>,
    grain_bytes: usize,
    spare: Spare,
}

impl Packed {
    /// Fills `buffer`, which begins at `start` of the disk.
    fn inflate(mut self, start: u64, buffer: &mut [u8]) -> Result<()> {
        let mut decompressor = Decompressor::new();
        let mut done = 0;
        for grain in &self.grains {
            let at = length(grain.offset - start);
            buffer[done..at].fill(0);
            done = at + grain.length;
            match buffer.get_mut(at..at + self.grain_bytes) {
                Some(whole) if grain.length == self.grain_bytes => {
                    grain.inflate(&self.bytes, &mut decompressor, whole)?;
                }
                // The disk ends inside the grain, whose data may go on.
                _ => {
                    let mut whole = vec![0; self.grain_bytes];
                    grain.inflate(&self.bytes, &mut decompressor, &mut whole)?;
                    buffer[at..done].copy_from_slice(&whole[..grain.length]);
                }
            }
        }
        buffer[done..].fill(0);
        self.spare.put(std::mem::take(&mut self.bytes));
        Ok(())
    }
}
