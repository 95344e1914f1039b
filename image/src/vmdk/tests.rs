use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::error::{Kind, Result};
use crate::source::{Composed, Memory, Progress, RawFile, Seeking, Source, write_raw};

mod ahead;
mod damage;
mod extraction;
mod files;
mod kinds;

const MIB: u64 = 1 << 20;

/// Whether two disks have the same bytes, and the first one tells no hole where the second has any.
fn assert_same(found: &dyn Source, expected: &dyn Source) {
    assert_eq!(found.size(), expected.size());
    let step = 3 * MIB / 2;
    let mut at = 0;
    while at < expected.size() {
        let length = usize::try_from(step.min(expected.size() - at)).unwrap();
        let (mut ours, mut theirs) = (vec![1; length], vec![2; length]);
        found.read_at(at, &mut ours).unwrap();
        expected.read_at(at, &mut theirs).unwrap();
        assert!(ours == theirs, "differs within {length} bytes from {at}");
        at += step;
    }
    let (mut from, mut stretches) = (0, found.next_data(0).unwrap());
    while let Some(data) = expected.next_data(from).unwrap() {
        let covering = stretches.clone().expect("a hole where there is data");
        let (mut first, end) = ([0], data.end.min(covering.end));
        expected.read_at(data.start, &mut first).unwrap();
        assert!(
            covering.start <= data.start || first == [0],
            "a hole at {}",
            data.start
        );
        from = end.max(from + 1);
        if covering.end <= from {
            stretches = found.next_data(from).unwrap();
        }
    }
}

fn sparse_file(disk: &dyn Source) -> Vec<u8> {
    let sink = Seeking::new(std::io::Cursor::new(Vec::new()));
    let written = write_sparse(disk, &sink, &Options::default(), &mut |_| {}).unwrap();
    let bytes = sink.into_inner().into_inner();
    assert_eq!(written.length, bytes.len() as u64);
    bytes
}

fn stream(disk: &dyn Source, threads: usize) -> Vec<u8> {
    let options = Options {
        threads: NonZeroUsize::new(threads).unwrap(),
        ..Options::default()
    };
    let mut bytes = Vec::new();
    let written = write(disk, &mut bytes, &options, &mut |_| {}).unwrap();
    assert_eq!(written.length, bytes.len() as u64);
    bytes
}

/// Three grains in two tables, at the disk's ends and across a grain's boundary.
fn sample(size: u64) -> Composed {
    let mut disk = Composed::new(size);
    disk.put(0, b"head".to_vec()).unwrap();
    disk.put(33 * MIB - 2, b"across".to_vec()).unwrap();
    disk.put(size - 4, b"tail".to_vec()).unwrap();
    disk
}

fn read_all(bytes: &[u8]) -> Result<Summary> {
    Stream::open(bytes, CAPACITY_LIMIT)?.read_to(&mut |_| Ok(()))
}

#[test]
fn a_stream_ends_with_directory_footer_and_end_marker_and_nothing_more() {
    let bytes = stream(&sample(64 * MIB), 1);
    let sectors: Vec<&[u8]> = bytes.chunks(512).rev().collect();
    assert!(sectors[0].iter().all(|&byte| byte == 0), "end of stream");
    let footer = Header::parse(sectors[1]).unwrap();
    assert_eq!(
        sectors[2][..16],
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0],
        "footer marker"
    );
    assert_eq!(footer.directory * 512, bytes.len() as u64 - 4 * 512);
    assert_eq!(
        sectors[4][..16],
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0],
        "directory marker"
    );
    assert!(sectors[3][..8].iter().any(|&byte| byte != 0) && sectors[3][8..].iter().all(|&byte| byte == 0));
    assert_eq!(bytes.len() % 512, 0);
}

#[test]
fn the_descriptor_names_the_stream() {
    let bytes = stream(&sample(64 * MIB), 1);
    let stream = Stream::open(&bytes[..], CAPACITY_LIMIT).unwrap();
    assert_eq!(stream.descriptor().create_type, "streamOptimized");
    assert_eq!(stream.descriptor().capacity(), 64 * MIB);
    assert_eq!(stream.descriptor().adapter.as_deref(), Some("lsilogic"));
    assert!(stream.descriptor().content_id < 0xffff_fffe);
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let mut noise = 7u32;
    let bytes = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.to_be_bytes()[0] & 0x1f
    });
    let disk = Memory(bytes.take(5_000_003).collect());
    let alone = stream(&disk, 1);
    assert_eq!(alone, stream(&disk, 2));
    assert_eq!(alone, stream(&disk, 5));
    Stream::open(&alone[..], CAPACITY_LIMIT)
        .unwrap()
        .compare(&Memory([disk.0, vec![0; 189]].concat()))
        .unwrap();
}

#[test]
fn every_level_gives_the_same_disk_and_its_own_bytes_whatever_the_threads() {
    let text: Vec<u8> = (0..400_000u64)
        .flat_map(|n| (n * n / 7).to_string().into_bytes())
        .collect();
    let disk = Memory(text[..1 << 20].to_vec());
    let lengths = Level::ALL.map(|level| {
        assert_eq!(level.as_str().parse::<Level>().unwrap(), level);
        let [alone, together] = [1, 3].map(|threads| {
            let options = Options {
                level,
                threads: NonZeroUsize::new(threads).unwrap(),
                ..Options::default()
            };
            let mut bytes = Vec::new();
            write(&disk, &mut bytes, &options, &mut |_| {}).unwrap();
            bytes
        });
        assert!(alone == together, "{level:?}");
        Stream::open(&alone[..], CAPACITY_LIMIT)
            .unwrap()
            .compare(&disk)
            .unwrap();
        alone.len()
    });
    assert!(lengths[0] > lengths[1] && lengths[1] >= lengths[2], "{lengths:?}");
    assert_eq!("best".parse::<Level>().unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn a_nearly_empty_disk_of_10_gib_makes_a_small_stream() {
    let disk = sample(10 << 30);
    assert!(stream(&disk, 2).len() < 90_000);
}

#[test]
fn progress_ends_at_the_total_and_counts_no_holes() {
    let mut last = None;
    write(
        &sample(64 * MIB),
        &mut Vec::new(),
        &Options::default(),
        &mut |p| last = Some(p),
    )
    .unwrap();
    assert_eq!(last, Some(Progress { done: 14, total: 14 }));
}

#[test]
fn unusable_options_and_disks_are_refused() {
    let refused = |disk: &dyn Source, change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        write(disk, &mut Vec::new(), &options, &mut |_| {})
            .unwrap_err()
            .kind()
    };
    let disk = Composed::new(MIB);
    assert_eq!(refused(&disk, |o| o.content_id = Some(u32::MAX)), Kind::Invalid);
    assert_eq!(refused(&disk, |o| o.file_name = "a\"\nb".into()), Kind::Invalid);
    assert_eq!(refused(&Composed::new(0), |_| {}), Kind::Ceiling);
    assert_eq!(refused(&Composed::new(u64::MAX), |_| {}), Kind::Ceiling);
}

#[test]
fn a_sink_that_fails_ends_the_writing() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let disk = Memory(vec![1; 4 << 20]);
    let options = Options {
        threads: NonZeroUsize::new(3).unwrap(),
        ..Options::default()
    };
    assert_eq!(
        write(&disk, &mut Full, &options, &mut |_| {}).unwrap_err().kind(),
        Kind::Io
    );
}

#[test]
fn every_truncation_and_every_longer_stream_is_refused() {
    let bytes = stream(&sample(64 * MIB), 1);
    read_all(&bytes).unwrap();
    for length in (0..bytes.len()).step_by(256) {
        assert!(read_all(&bytes[..length]).is_err(), "{length}");
    }
    for tail in [1, 512, 65_536] {
        let longer = [&bytes[..], &vec![0; tail]].concat();
        assert_eq!(read_all(&longer).unwrap_err().kind(), Kind::Malformed, "{tail}");
    }
}

#[test]
fn no_flipped_byte_changes_the_disk_unnoticed() {
    let disk = sample(64 * MIB);
    let bytes = stream(&disk, 1);
    for at in (0..512).chain((65_536..bytes.len()).step_by(11)) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        let compared = Stream::open(&flipped[..], CAPACITY_LIMIT).and_then(|stream| stream.compare(&disk));
        // The header's last fields and the bits after a deflate stream's end mean nothing.
        assert!(read_all(&flipped).is_err() || compared.is_ok(), "byte {at}");
    }
}

#[test]
fn hostile_streams_are_refused_by_kind() {
    let bytes = stream(&sample(64 * MIB), 1);
    let with = |at: usize, field: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + field.len()].copy_from_slice(field);
        read_all(&changed).unwrap_err().kind()
    };
    let second = 65_536 + 512;
    assert_eq!(
        with(65_536, &u64::MAX.to_le_bytes()),
        Kind::Malformed,
        "grain outside the disk"
    );
    assert_eq!(
        with(65_536, &1u64.to_le_bytes()),
        Kind::Malformed,
        "grain off its boundary"
    );
    assert_eq!(
        with(65_536 + 8, &u32::MAX.to_le_bytes()),
        Kind::Ceiling,
        "grain of 4 GiB"
    );
    let table_end = second + 512 + 2048;
    assert_eq!(with(table_end, &0u64.to_le_bytes()), Kind::Overlap, "grain twice");
    let small = Stream::open(&bytes[..], MIB).err().unwrap();
    assert_eq!(small.kind(), Kind::Ceiling);
}

#[test]
fn a_grain_bomb_is_refused() {
    let bytes = stream(&sample(64 * MIB), 1);
    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::best());
    let mut bomb = vec![0; 4096];
    let length = compressor.zlib_compress(&vec![0; 1 << 20], &mut bomb).unwrap();
    let mut grain = [
        &0u64.to_le_bytes()[..],
        &u32::try_from(length).unwrap().to_le_bytes(),
        &bomb[..length],
    ]
    .concat();
    grain.resize(grain.len().next_multiple_of(512), 0);
    let bombed = [&bytes[..65_536], &grain, &bytes[65_536 + 512..]].concat();
    assert_eq!(read_all(&bombed).unwrap_err().kind(), Kind::Malformed);
}

#[test]
fn compare_finds_what_differs_in_data_holes_and_size() {
    let disk = sample(64 * MIB);
    let bytes = stream(&disk, 1);
    let differs = |other: &Composed| {
        let stream = Stream::open(&bytes[..], CAPACITY_LIMIT).unwrap();
        stream.compare(other).map(|_| ()).map_err(|e| e.kind())
    };
    assert_eq!(differs(&disk), Ok(()));
    let mut more = disk.clone();
    more.put(20 * MIB, vec![1]).unwrap();
    assert_eq!(differs(&more), Err(Kind::Differs));
    let mut more = disk.clone();
    more.put(100, vec![1]).unwrap();
    assert_eq!(differs(&more), Err(Kind::Differs));
    assert_eq!(differs(&Composed::new(64 * MIB)), Err(Kind::Differs));
    assert_eq!(differs(&sample(65 * MIB)), Err(Kind::Differs));
}

/// Runs `qemu-img`; nothing where it is not installed.
fn qemu_img(arguments: &[&str], files: &[&Path]) -> Option<std::process::Output> {
    let output = Command::new("qemu-img").args(arguments).args(files).output();
    if output.is_err() {
        eprintln!("skipped: qemu-img is not installed");
    }
    output.ok()
}

#[test]
fn qemu_img_finds_our_stream_sound_and_equal_to_the_raw_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, vmdk) = (folder.path().join("a.raw"), folder.path().join("a.vmdk"));
    for size in [64 * MIB, 40 * MIB + 512 * 3, 33 * MIB + 4096] {
        let disk = sample(size);
        write_raw(&disk, &std::fs::File::create(&raw).unwrap()).unwrap();
        std::fs::write(&vmdk, stream(&RawFile::open(&raw).unwrap(), 2)).unwrap();
        let Some(check) = qemu_img(&["check", "-f", "vmdk"], &[&vmdk]) else {
            return;
        };
        assert!(check.status.success(), "{check:?}");
        let compare = qemu_img(&["compare", "-f", "raw", "-F", "vmdk"], &[&raw, &vmdk]).unwrap();
        assert!(compare.status.success(), "{size}: {compare:?}");
    }
}

#[test]
fn a_disk_by_qemu_img_is_read_at_random() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, vmdk) = (folder.path().join("a.raw"), folder.path().join("a.vmdk"));
    let disk = sample(64 * MIB);
    write_raw(&disk, &std::fs::File::create(&raw).unwrap()).unwrap();
    let convert = [
        "convert",
        "-f",
        "raw",
        "-O",
        "vmdk",
        "-o",
        "subformat=streamOptimized",
    ];
    let Some(done) = qemu_img(&convert, &[&raw, &vmdk]) else {
        return;
    };
    assert!(done.status.success(), "{done:?}");
    let theirs = Disk::open(RawFile::open(&vmdk).unwrap(), CAPACITY_LIMIT).unwrap();
    let copy = stream(&theirs, 1);
    Stream::open(&copy[..], CAPACITY_LIMIT)
        .unwrap()
        .compare(&disk)
        .unwrap();
}

#[test]
fn a_random_reader_refuses_tables_that_overlap_or_point_outside() {
    let bytes = stream(&sample(64 * MIB), 1);
    let directory = bytes.len() - 4 * 512;
    let opened = |at: usize, field: [u8; 4]| {
        let mut changed = bytes.clone();
        changed[at..at + 4].copy_from_slice(&field);
        Disk::open(Memory(changed), CAPACITY_LIMIT).map(|disk| stream_of(&disk))
    };
    let first: [u8; 4] = bytes[directory..directory + 4].try_into().unwrap();
    assert_eq!(opened(directory + 4, first).unwrap_err().kind(), Kind::Overlap);
    assert_eq!(
        opened(directory, u32::MAX.to_le_bytes()).unwrap_err().kind(),
        Kind::Overlap
    );
    let table = u32::from_le_bytes(first) as usize * 512;
    let shared = opened(table + 4, bytes[table..table + 4].try_into().unwrap()).unwrap();
    assert_eq!(
        shared.unwrap_err().kind(),
        Kind::Malformed,
        "two places share a grain"
    );
}

fn stream_of(disk: &dyn Source) -> Result<Written> {
    write(disk, &mut Vec::new(), &Options::default(), &mut |_| {})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_sparse_disk_survives_writing_and_both_readers(
        size in 1u64..80 * MIB,
        pieces in proptest::collection::vec((any::<u64>(), proptest::collection::vec(0u8..4, 1..3000)), 0..12),
        threads in 1usize..4,
    ) {
        let mut disk = Composed::new(size);
        for (at, bytes) in pieces {
            let _ = disk.put(at % size, bytes);
        }
        let bytes = stream(&disk, threads);
        let summary = Stream::open(&bytes[..], CAPACITY_LIMIT).unwrap().compare(&disk).unwrap();
        prop_assert_eq!(summary.length, bytes.len() as u64);
        let random = Disk::open(Memory(bytes.clone()), CAPACITY_LIMIT).unwrap();
        prop_assert_eq!(stream(&random, 1), bytes);
    }

    #[test]
    fn no_damage_panics_either_reader(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = stream(&sample(64 * MIB), 1);
        // The head's padding is of no interest.
        let body = bytes.len() - 64_000;
        for (at, value) in damage {
            let at = at.index(body);
            let at = if at < 1536 { at } else { at + 64_000 };
            bytes[at] = value;
        }
        let _ = read_all(&bytes);
        if let Ok(disk) = Disk::open(Memory(bytes), 1 << 40) {
            let _ = stream_of(&disk);
        }
    }
}
