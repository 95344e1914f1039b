//! A stream extracted in one pass.

use super::*;
use std::io::Cursor;

fn extracted(bytes: &[u8], threads: usize) -> Result<(Summary, Vec<u8>)> {
    let sink = Seeking::new(Cursor::new(Vec::new()));
    let threads = NonZeroUsize::new(threads).unwrap();
    let summary = extract(bytes, CAPACITY_LIMIT, &sink, threads, &mut |_| {})?;
    Ok((summary, sink.into_inner().into_inner()))
}

#[test]
fn the_raw_disk_comes_out_and_every_byte_is_seen_in_order() {
    let bytes = stream(&sample(40 * MIB + 512 * 3), 1);
    let sink = Seeking::new(Cursor::new(Vec::new()));
    let mut seen = Vec::new();
    let summary = extract(
        &bytes[..],
        CAPACITY_LIMIT,
        &sink,
        NonZeroUsize::new(2).unwrap(),
        &mut |piece| {
            seen.extend_from_slice(piece);
        },
    );
    assert!(seen == bytes);
    assert_eq!(summary.unwrap(), read_all(&bytes).unwrap());
    assert_same(
        &Memory(sink.into_inner().into_inner()),
        &sample(40 * MIB + 512 * 3),
    );
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
    impl crate::source::Sink for Full {
        fn set_size(&self, _: u64) -> Result<()> {
            Ok(())
        }
        fn write_at(&self, offset: u64, _: &[u8]) -> Result<()> {
            let place = crate::error::Place::Offset(offset);
            Err(crate::error::Error::new(Kind::Io, place, "full"))
        }
    }
    let bytes = stream(&Memory(vec![1; 40 << 20]), 2);
    let failed = extract(
        &bytes[..],
        CAPACITY_LIMIT,
        &Full,
        NonZeroUsize::new(2).unwrap(),
        &mut |_| {},
    );
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
        let (summary, raw) = extracted(&stream(&disk, 2), threads).unwrap();
        prop_assert_eq!(summary.capacity, disk.size());
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
        let strict = Stream::open(&bytes[..], 1 << 32).and_then(|stream| stream.read_to(&mut |_| Ok(())));
        let sink = tempfile::tempfile().unwrap();
        let extracted = extract(&bytes[..], 1 << 32, &sink, NonZeroUsize::new(2).unwrap(), &mut |_| {});
        prop_assert_eq!(strict.ok(), extracted.ok());
    }
}
