//! Sparse files that lie: what the reader and the check make of them.

use super::*;

/// Where the first grain table and its copy are, in bytes.
fn tables(bytes: &[u8]) -> [usize; 2] {
    let header = Header::parse(bytes).unwrap();
    let sectors = header.directory_sectors();
    [header.directory, header.redundant_directory].map(|at| usize::try_from((at + sectors) * 512).unwrap())
}

fn with(bytes: &[u8], changes: &[(usize, u32)]) -> Result<Disk<Memory>> {
    let mut changed = bytes.to_vec();
    for (at, value) in changes {
        changed[*at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    Disk::open(Memory(changed), CAPACITY_LIMIT)
}

fn findings(disk: &Disk<Memory>) -> Vec<Kind> {
    disk.check()
        .unwrap()
        .iter()
        .map(crate::error::Error::kind)
        .collect()
}

#[test]
fn grains_that_overlap_or_lie_outside_are_found() {
    let bytes = sparse_file(&sample(64 * MIB));
    let [table, copy] = tables(&bytes);
    let overhead = u32::try_from(Header::parse(&bytes).unwrap().overhead).unwrap();
    let both = |entry: usize, value| [(table + entry * 4, value), (copy + entry * 4, value)];
    assert_eq!(findings(&with(&bytes, &[]).unwrap()), []);
    assert_eq!(
        findings(&with(&bytes, &both(1, overhead)).unwrap()),
        [Kind::Overlap]
    );
    let metadata = findings(&with(&bytes, &both(1, 2)).unwrap());
    assert_eq!(
        metadata,
        [Kind::Overlap; 3],
        "the descriptor, then both tables that are met later"
    );
    let outside = with(&bytes, &both(1, u32::MAX)).unwrap();
    assert_eq!(findings(&outside), [Kind::Truncated]);
    assert_eq!(
        outside.read_at(65_536, &mut [0; 9]).unwrap_err().kind(),
        Kind::Truncated
    );
    let one_of_two = with(&bytes, &[(table + 4, overhead)]).unwrap();
    assert_eq!(findings(&one_of_two), [Kind::Malformed]);
    assert_eq!(
        one_of_two.read_at(65_536, &mut [0; 9]).unwrap_err().kind(),
        Kind::Malformed
    );
}

#[test]
fn grains_past_the_end_of_the_disk_are_found() {
    let bytes = sparse_file(&sample(34 * MIB));
    let [table, copy] = tables(&bytes);
    let past = with(&bytes, &[(table + 2048 + 1000, 200), (copy + 2048 + 1000, 200)]).unwrap();
    assert_eq!(findings(&past), [Kind::Malformed]);
}

#[test]
fn findings_of_a_file_that_is_wrong_everywhere_are_few() {
    let bytes = sparse_file(&sample(64 * MIB));
    let [table, copy] = tables(&bytes);
    let changes: Vec<_> = (0..512)
        .flat_map(|n| [(table + n * 4, 2), (copy + n * 4, 2)])
        .collect();
    assert_eq!(findings(&with(&bytes, &changes).unwrap()).len(), 64);
}

#[test]
fn streams_are_checked_for_markers_and_grains_elsewhere() {
    let bytes = stream(&sample(64 * MIB), 1);
    let open = |bytes: &[u8]| Disk::open(Memory(bytes.to_vec()), CAPACITY_LIMIT).unwrap();
    assert_eq!(findings(&open(&bytes)), []);
    let mut marker = bytes.clone();
    let at = bytes.len() - 5 * 512;
    marker[at + 12] = 1;
    assert_eq!(findings(&open(&marker)), [Kind::Malformed]);
    let mut elsewhere = bytes.clone();
    elsewhere[65_536] = 128;
    assert_eq!(findings(&open(&elsewhere)), [Kind::Malformed]);
}

#[test]
fn a_header_and_a_descriptor_of_two_sizes_are_refused() {
    let bytes = sparse_file(&sample(64 * MIB));
    assert_eq!(
        with(&bytes, &[(12, 10_000)]).err().unwrap().kind(),
        Kind::Malformed
    );
    let mut stream = stream(&sample(64 * MIB), 1);
    stream[13] ^= 1;
    assert!(Stream::open(&stream[..], CAPACITY_LIMIT).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_sparse_disk_survives_the_sparse_file(
        size in 1u64..80 * MIB,
        pieces in proptest::collection::vec((any::<u64>(), proptest::collection::vec(0u8..4, 1..3000)), 0..12),
    ) {
        let mut disk = Composed::new(size.next_multiple_of(512));
        for (at, bytes) in pieces {
            let _ = disk.put(at % size, bytes);
        }
        let ours = Disk::open(Memory(sparse_file(&disk)), CAPACITY_LIMIT).unwrap();
        assert_same(&ours, &disk);
        prop_assert_eq!(ours.check().unwrap().len(), 0);
    }

    #[test]
    fn no_damage_panics_reader_or_check(
        sparse in any::<bool>(),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let disk = sample(64 * MIB);
        let mut bytes = if sparse { sparse_file(&disk) } else { stream(&disk, 1) };
        let interesting = if sparse { 16 * 1024 } else { bytes.len() };
        for (at, value) in damage {
            bytes[at.index(interesting)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(disk) = Disk::open(Memory(bytes), 1 << 36) {
            let _ = disk.check().unwrap();
            let mut buffer = vec![0; 1 << 20];
            let _ = disk.read_at(0, &mut buffer);
            let mut from = 0;
            for _ in 0..100 {
                match disk.next_data(from) {
                    Ok(Some(data)) => from = data.end,
                    _ => break,
                }
            }
        }
    }
}
