//! A disk's data, read by several threads and copied to a sink.

use std::num::NonZeroUsize;
use std::ops::Range;

use super::{Progress, Sink, Source, is_zero};
use crate::error::Result;
use crate::feed::{Feed, Scan};
use crate::pipeline::{self, Filled};

/// Zeros are left out in blocks of this many bytes.
const BLOCK: usize = 65_536;

/// Writes `source` as a raw image into `sink`, an empty one, leaving holes and blocks of zeros as holes.
///
/// Several threads read side by side, all cores at most; memory stays below 64 MiB.
///
/// # Errors
/// Whatever reading and writing give.
pub fn write_raw(source: &dyn Source, sink: &dyn Sink) -> Result<()> {
    write_raw_telling(source, sink, &mut |_| {})
}

/// As [`write_raw`]; `progress` is called now and then, on the calling thread.
///
/// # Errors
/// As [`write_raw`].
pub fn write_raw_telling(
    source: &dyn Source,
    sink: &dyn Sink,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    write_raw_feed(&mut Scan::new(source), sink, threads, progress)
}

/// As [`write_raw`], from wherever the data comes.
pub(crate) fn write_raw_feed<'a>(
    feed: &mut dyn Feed<'a>,
    sink: &dyn Sink,
    threads: NonZeroUsize,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    sink.set_size(feed.size())?;
    write_stretches(feed, sink, threads, progress)
}

/// As [`write_raw_feed`], but the sink keeps the size that the last byte written gives it.
pub(crate) fn write_stretches<'a>(
    feed: &mut dyn Feed<'a>,
    sink: &dyn Sink,
    threads: NonZeroUsize,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    // One thread writes: two at one file wait for each other inside the system, and burn time while they do.
    pipeline::run(
        feed,
        BLOCK as u64,
        threads.get(),
        &|| Ok(Box::new(Ok)),
        &mut |job: Filled| {
            let mut stretches = job.stretches();
            stretches.try_for_each(|(at, bytes)| sink.write_at(at, bytes))
        },
        progress,
    )
}

/// Writes `bytes` at `offset`, without their blocks of zeros.
pub(crate) fn write_data(sink: &dyn Sink, offset: u64, bytes: &[u8]) -> Result<()> {
    let mut held = 0..0;
    for (start, block) in (0..).step_by(BLOCK).zip(bytes.chunks(BLOCK)) {
        if !is_zero(block) {
            held.end = start + block.len();
            continue;
        }
        flush(sink, offset, bytes, held)?;
        held = start + block.len()..start + block.len();
    }
    flush(sink, offset, bytes, held)
}

fn flush(sink: &dyn Sink, offset: u64, bytes: &[u8], held: Range<usize>) -> Result<()> {
    if held.is_empty() {
        return Ok(());
    }
    sink.write_at(offset + held.start as u64, &bytes[held])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind, Place};
    use crate::source::{Composed, Memory, RawFile, Seeking};
    use proptest::prelude::*;
    use std::io::Cursor;

    #[test]
    fn a_raw_copy_equals_its_source_and_keeps_holes() {
        let mut disk = Composed::new(64 << 20);
        disk.put(0, vec![1; 5000]).unwrap();
        disk.put(20 << 20, vec![0; 10 << 20]).unwrap();
        disk.put((64 << 20) - 3, vec![2; 3]).unwrap();
        let file = tempfile::tempfile().unwrap();
        write_raw(&disk, &file).unwrap();
        let copy = RawFile::new(file).unwrap();
        assert_eq!(copy.size(), 64 << 20);
        let (mut head, mut tail) = ([0; 5001], [9; 4]);
        copy.read_at(0, &mut head).unwrap();
        copy.read_at((64 << 20) - 4, &mut tail).unwrap();
        assert!(head[..5000] == [1; 5000] && head[5000] == 0 && tail == [0, 2, 2, 2]);
        assert!(copy.data_length().unwrap() < 1 << 20);
    }

    #[test]
    fn an_error_of_any_reader_ends_the_copy() {
        struct Broken;
        impl Source for Broken {
            fn size(&self) -> u64 {
                64 << 20
            }
            fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
                Ok((from < self.size()).then(|| from..self.size()))
            }
            fn read_at(&self, offset: u64, _: &mut [u8]) -> Result<()> {
                if offset < 32 << 20 {
                    return Ok(());
                }
                Err(Error::new(Kind::Io, Place::Offset(offset), "broken"))
            }
        }
        let sink = Seeking::new(Cursor::new(Vec::new()));
        assert_eq!(write_raw(&Broken, &sink).unwrap_err().kind(), Kind::Io);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_sparse_disk_is_copied(
            size in 0u64..4 << 20,
            pieces in proptest::collection::vec((any::<u64>(), 1usize..200_000), 0..6),
        ) {
            let mut disk = Composed::new(size);
            for (at, length) in pieces {
                let _ = disk.put(at % size.max(1), vec![1; length]);
            }
            let sink = Seeking::new(Cursor::new(Vec::new()));
            write_raw(&disk, &sink).unwrap();
            let copy = Memory(sink.into_inner().into_inner());
            prop_assert_eq!(copy.size(), size);
            let mut expected = vec![0; copy.0.len()];
            disk.read_at(0, &mut expected).unwrap();
            prop_assert!(copy.0 == expected);
        }
    }
}
