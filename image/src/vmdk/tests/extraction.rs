//! A stream extracted in one pass.

use std::io::Cursor;

use super::*;
use crate::compare;
use crate::convert::{self, Target};
use crate::source::{Sink, write_raw_feed};

fn extract(bytes: &[u8], sink: &dyn Sink, threads: usize) -> Result<()> {
    let mut grains = Grains::new(Stream::open(bytes, CAPACITY_LIMIT)?);
    let threads = NonZeroUsize::new(threads).unwrap();
    write_raw_feed(&mut grains, sink, threads, &mut |_| {})
}

fn extracted(bytes: &[u8], threads: usize) -> Result<Vec<u8>> {
    let sink = Seeking::new(Cursor::new(Vec::new()));
    extract(bytes, &sink, threads)?;
    Ok(sink.into_inner().into_inner())
}

#[test]
fn the_raw_disk_comes_out() {
    let disk = sample(40 * MIB + 512 * 3);
    assert_same(&Memory(extracted(&stream(&disk, 1), 2).unwrap()), &disk);
}

#[test]
fn every_target_is_the_same_from_a_stream_as_from_the_disk() {
    let disk = sample(40 * MIB);
    let bytes = stream(&disk, 1);
    for target in Target::ALL {
        let options = convert::Options {
            target,
            level: Level::Fast,
            threads: NonZeroUsize::new(3).unwrap(),
            file_name: "disk.vmdk".to_owned(),
        };
        let (from_stream, from_disk) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let size = convert::extract(&bytes[..], CAPACITY_LIMIT, &from_stream, &options).unwrap();
        assert_eq!(size, disk.size());
        convert::convert(&disk, &from_disk, &options, &mut |_| {}).unwrap();
        let (ours, theirs) = (
            RawFile::new(from_stream).unwrap(),
            RawFile::new(from_disk).unwrap(),
        );
        assert_eq!(ours.size(), theirs.size(), "{target:?}");
        assert_eq!(
            compare::first_difference(&ours, &theirs, &mut |_| {}).unwrap(),
            None,
            "{target:?}"
        );
    }
}

#[test]
fn what_the_strict_reader_refuses_is_refused() {
    let bytes = stream(&sample(64 * MIB), 1);
    for length in (0..bytes.len()).step_by(700) {
        assert!(extracted(&bytes[..length], 2).is_err(), "{length}");
    }
    // The data of the first grain: only a worker sees that.
    let mut damaged = bytes;
    damaged[65_536 + 20] ^= 0x55;
    assert_eq!(extracted(&damaged, 3).unwrap_err().kind(), Kind::Malformed);
}

#[test]
fn a_sink_that_fails_ends_the_extraction() {
    struct Full;
    impl Sink for Full {
        fn set_size(&self, _: u64) -> Result<()> {
            Ok(())
        }
        fn write_at(&self, offset: u64, _: &[u8]) -> Result<()> {
            let place = crate::error::Place::Offset(offset);
            Err(crate::error::Error::new(Kind::Io, place, "full"))
        }
    }
    let bytes = stream(&Memory(vec![1; 40 << 20]), 2);
    let failed = extract(&bytes, &Full, 2);
    assert_eq!(failed.unwrap_err().reason(), "full");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_sparse_disk_survives_writing_and_extraction(
        size in 1u64..40 * MIB,
        pieces in proptest::collection::vec((any::<u64>(), 1usize..200_000), 0..12),
        threads in 1usize..4,
    ) {
        let mut disk = Composed::new(size.next_multiple_of(512));
        for (at, length) in pieces {
            let _ = disk.put(at % size, vec![3; length]);
        }
        let raw = extracted(&stream(&disk, 2), threads).unwrap();
        assert_same(&Memory(raw), &disk);
    }
    #[test]
    fn extraction_refuses_exactly_what_the_strict_reader_refuses(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = stream(&sample(64 * MIB), 1);
        // The head's padding is of no interest.
        let body = bytes.len() - 64_000;
        for (at, value) in damage {
            let at = at.index(body);
            bytes[if at < 1536 { at } else { at + 64_000 }] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let strict = Stream::open(&bytes[..], CAPACITY_LIMIT).and_then(|stream| stream.read_to(&mut |_| Ok(())));
        let sink = tempfile::tempfile().unwrap();
        prop_assert_eq!(strict.is_ok(), extract(&bytes, &sink, 2).is_ok());
    }
}
