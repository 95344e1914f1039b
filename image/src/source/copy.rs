//! A disk's data, copied to a sink by several readers.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Sink, Source, is_zero};
use crate::error::Result;

const PIECE: u64 = 1 << 20;
/// Zeros are left out in blocks of this many bytes.
const BLOCK: usize = 65_536;
/// Readers of a compressed disk inflate side by side; more of them only wait for the file system.
const READER_LIMIT: usize = 8;

/// Writes `source` as a raw image into `sink`, an empty one, leaving holes and blocks of zeros as holes.
///
/// All cores read; memory is a megabyte for each of them.
///
/// # Errors
/// Whatever reading and writing give.
pub fn write_raw(source: &dyn Source, sink: &dyn Sink) -> Result<()> {
    sink.set_size(source.size())?;
    copy(source, sink)
}

/// As [`write_raw`], but the sink keeps the size that the last byte written gives it.
pub(crate) fn copy(source: &dyn Source, sink: &dyn Sink) -> Result<()> {
    let pieces = Mutex::new(Pieces {
        source,
        run: 0..0,
        stopped: false,
    });
    // A poisoned lock belongs to a panic that is on its way up.
    let pieces = || pieces.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || -> Result<()> {
        let mut buffer = Vec::new();
        loop {
            let piece = pieces().next();
            match piece {
                Ok(None) => return Ok(()),
                Ok(Some(piece)) => copy_piece(source, sink, piece, &mut buffer),
                Err(error) => Err(error),
            }
            .inspect_err(|_| pieces().stopped = true)?;
        }
    };
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let readers = cores.clamp(1, READER_LIMIT);
    if readers == 1 || source.size() <= PIECE {
        return work();
    }
    thread::scope(|scope| {
        let readers: Vec<_> = (0..readers).map(|_| scope.spawn(work)).collect();
        let results = readers.into_iter().map(|reader| match reader.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect::<Vec<_>>().into_iter().collect()
    })
}

/// The data, cut at multiples of a megabyte.
struct Pieces<'a> {
    source: &'a dyn Source,
    run: Range<u64>,
    /// One reader has failed: the others need not go on.
    stopped: bool,
}

impl Pieces<'_> {
    fn next(&mut self) -> Result<Option<Range<u64>>> {
        if self.stopped {
            return Ok(None);
        }
        if self.run.is_empty() {
            match self.source.next_data(self.run.end)? {
                Some(run) => self.run = run,
                None => return Ok(None),
            }
        }
        let end = self.run.end.min((self.run.start / PIECE + 1) * PIECE);
        let piece = self.run.start..end;
        self.run.start = end;
        Ok(Some(piece))
    }
}

fn copy_piece(source: &dyn Source, sink: &dyn Sink, piece: Range<u64>, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.resize(
        usize::try_from(piece.end - piece.start).expect("a piece is at most a megabyte"),
        0,
    );
    source.read_at(piece.start, buffer)?;
    write_data(sink, piece.start, buffer)
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
