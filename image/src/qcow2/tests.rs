use std::io::Cursor;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::error::{Kind, Result};
use crate::finding::Severity;
use crate::oracle::{MIB, assert_equal, qemu_img, qemu_img_succeeds, raw, sample};
use crate::source::{Composed, Memory, Progress, RawFile, Seeking, Sink, Source};

fn written(disk: &dyn Source, packing: Packing, threads: usize) -> Vec<u8> {
    let sink = Seeking::new(Cursor::new(Vec::new()));
    let threads = threads.try_into().unwrap();
    let options = Options { packing, threads };
    let written = write(disk, &sink, &options, &mut |_| {}).unwrap();
    let bytes = sink.into_inner().into_inner();
    assert_eq!(written.length, bytes.len() as u64);
    bytes
}

fn opened(bytes: Vec<u8>) -> Result<Disk<Memory>> {
    Disk::open(Memory(bytes), CAPACITY_LIMIT, Companions::default())
}

fn open_file(path: &Path) -> Disk<RawFile> {
    Disk::open(
        RawFile::open(path).unwrap(),
        CAPACITY_LIMIT,
        Companions::default(),
    )
    .unwrap()
}

fn checked(path: &Path) -> crate::finding::Findings {
    check(&RawFile::open(path).unwrap(), CAPACITY_LIMIT).unwrap()
}

const PACKINGS: [Packing; 3] = [Packing::Plain, Packing::Zlib(6), Packing::Zstd(3)];

/// Raw image and QCOW2 in a folder of their own.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `qemu-img convert` of `disk` with such options; nothing where it is not installed.
    fn converted(&self, disk: &dyn Source, options: &[&str]) -> Option<PathBuf> {
        let (from, to) = (self.path("a.raw"), self.path("a.qcow2"));
        raw(disk, &from);
        let all = [&["convert", "-f", "raw", "-O", "qcow2"], options].concat();
        qemu_img_succeeds(&all, &[&from, &to]).then_some(to)
    }
}

#[test]
fn every_variant_by_qemu_img_is_read_and_found_sound() {
    let bench = Bench::new();
    // The second disk ends within a cluster of any size.
    let disks = [sample(20 * MIB), sample(20 * MIB + 512)];
    let variants: [&[&str]; 17] = [
        &[],
        &["-o", "compat=0.10"],
        &["-c", "-o", "compat=0.10"],
        &["-c"],
        &["-c", "-o", "compression_type=zstd"],
        &["-o", "cluster_size=512"],
        &["-c", "-o", "cluster_size=512"],
        &["-o", "cluster_size=4096"],
        &["-o", "cluster_size=2M"],
        &["-c", "-o", "cluster_size=2M"],
        &["-c", "-o", "cluster_size=2M,compression_type=zstd"],
        &["-o", "extended_l2=on"],
        &["-c", "-o", "extended_l2=on,cluster_size=16384"],
        &["-o", "extended_l2=on,cluster_size=2M"],
        &["-S", "0", "-o", "preallocation=metadata"],
        &["-o", "preallocation=falloc"],
        &["-o", "refcount_bits=1"],
    ];
    for (variant, disk) in variants.iter().flat_map(|v| disks.iter().map(move |d| (v, d))) {
        let Some(path) = bench.converted(disk, variant) else {
            return;
        };
        assert_equal(&open_file(&path), disk);
        assert_eq!(checked(&path).list(), [], "{variant:?}");
    }
}

#[test]
fn preallocated_but_unwritten_and_zeroed_clusters_read_as_zeros() {
    let bench = Bench::new();
    let path = bench.path("a.qcow2");
    for options in [
        "preallocation=metadata",
        "preallocation=off",
        "preallocation=metadata,extended_l2=on",
    ] {
        for size in ["0", "512", "70000K", "10M"] {
            if !qemu_img_succeeds(
                &["create", "-f", "qcow2", "-o", options],
                &[&path, Path::new(size)],
            ) {
                return;
            }
            let disk = open_file(&path);
            assert_equal(&disk, &Composed::new(disk.size()));
            assert!(disk.data_length().unwrap() <= 65_536, "{options} {size}");
            assert!(checked(&path).is_sound(), "{options} {size}");
        }
    }
}

#[test]
fn a_backing_chain_shows_the_newest_data_and_zeros_over_it() {
    let bench = Bench::new();
    let (base, top) = (bench.path("base.raw"), bench.path("top.qcow2"));
    let disk = sample(20 * MIB);
    raw(&disk, &base);
    for options in ["cluster_size=64k", "extended_l2=on"] {
        let create = ["create", "-f", "qcow2", "-F", "raw", "-o", options, "-b"];
        if !qemu_img_succeeds(&create, &[&base, &top, Path::new("30M")]) {
            return;
        }
        let edits = [
            "write -P 9 1M 5000",
            "write -z 5M 1M",
            "write -z 9M 3k",
            "write -c -P 5 12M 64k",
            "write -P 6 25M 70k",
            "write -P 7 24M 1M",
            "discard 24M 128k",
            "write -P 8 100k 1",
        ];
        let io = std::process::Command::new("qemu-io")
            .args(edits.iter().flat_map(|edit| ["-c", edit]))
            .arg(&top)
            .output();
        if io.is_err() {
            eprintln!("skipped: qemu-io is not installed");
            return;
        }
        let expected = bench.path("expected.raw");
        qemu_img_succeeds(&["convert", "-O", "raw"], &[&top, &expected]);
        let expected = RawFile::open(&expected).unwrap();
        let companions = Companions {
            backing: Some(Box::new(RawFile::open(&base).unwrap())),
            data_file: None,
        };
        let file = RawFile::open(&top).unwrap();
        let chain = Disk::open(file, CAPACITY_LIMIT, companions).unwrap();
        assert_equal(&chain, &expected);
        let backing = chain.header().backing.clone().unwrap();
        assert_eq!(
            (backing.name.as_str(), backing.format.as_deref()),
            (base.to_str().unwrap(), Some("raw"))
        );
        let alone = Disk::open(
            RawFile::open(&top).unwrap(),
            CAPACITY_LIMIT,
            Companions::default(),
        );
        assert_eq!(alone.err().unwrap().kind(), Kind::Invalid);
    }
}

#[test]
fn an_external_data_file_is_read_where_the_caller_gives_it() {
    let bench = Bench::new();
    let data = bench.path("data.raw");
    let disk = sample(20 * MIB);
    for raw_data in ["on", "off"] {
        let options = format!("data_file={},data_file_raw={raw_data}", data.display());
        let Some(path) = bench.converted(&disk, &["-o", &options]) else {
            return;
        };
        let companions = Companions {
            backing: None,
            data_file: Some(Box::new(RawFile::open(&data).unwrap())),
        };
        let file = RawFile::open(&path).unwrap();
        assert_equal(&Disk::open(file, CAPACITY_LIMIT, companions).unwrap(), &disk);
        assert!(checked(&path).is_sound());
    }
}

#[test]
fn snapshots_inside_are_ignored_and_encryption_is_refused() {
    let bench = Bench::new();
    let disk = sample(20 * MIB);
    let Some(path) = bench.converted(&disk, &[]) else {
        return;
    };
    qemu_img_succeeds(&["snapshot", "-c", "one"], &[&path]);
    qemu_img_succeeds(&["bitmap", "--add"], &[&path, Path::new("changes")]);
    assert!(open_file(&path).header().bitmaps);
    assert_equal(&open_file(&path), &disk);
    assert!(checked(&path).is_sound());
    let luks = [
        "create",
        "-f",
        "qcow2",
        "--object",
        "secret,id=s,data=abc",
        "-o",
        "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=100",
    ];
    // Its timing of the key derivation fails on busy machines.
    if qemu_img(&luks, &[&path, Path::new("1M")]).is_some_and(|made| made.status.success()) {
        let refused = Disk::open(
            RawFile::open(&path).unwrap(),
            CAPACITY_LIMIT,
            Companions::default(),
        );
        assert_eq!(refused.err().unwrap().kind(), Kind::Unsupported);
    }
}

#[test]
fn qemu_img_finds_what_we_write_sound_and_equal() {
    let bench = Bench::new();
    let (from, to) = (bench.path("a.raw"), bench.path("a.qcow2"));
    for size in [20 * MIB, 1040 * MIB + 512] {
        let disk = sample(size);
        raw(&disk, &from);
        for packing in PACKINGS {
            std::fs::write(&to, written(&disk, packing, 2)).unwrap();
            if !qemu_img_succeeds(&["check", "-f", "qcow2"], &[&to]) {
                return;
            }
            qemu_img_succeeds(&["compare", "-f", "raw", "-F", "qcow2"], &[&from, &to]);
            assert_eq!(checked(&to).list(), []);
        }
    }
}

#[test]
fn disks_of_nothing_and_of_8_tib_survive() {
    let bench = Bench::new();
    let path = bench.path("a.qcow2");
    let mut vast = Composed::new(8 << 40);
    for at in [0, 3 << 40, (8 << 40) - 5] {
        vast.put(at, b"there".to_vec()).unwrap();
    }
    for disk in [Composed::new(0), Composed::new(1 << 43), vast] {
        for packing in PACKINGS {
            let bytes = written(&disk, packing, 2);
            assert!(bytes.len() < 2 << 20);
            let copy = opened(bytes.clone()).unwrap();
            assert_eq!(copy.size(), disk.size());
            let pieces = disk.pieces().count() as u64;
            assert_eq!(copy.data_length().unwrap(), pieces * 65_536);
            for (at, piece) in disk.pieces() {
                let mut read = vec![0; piece.len()];
                copy.read_at(at, &mut read).unwrap();
                assert_eq!(read, piece);
            }
            std::fs::write(&path, bytes).unwrap();
            if !qemu_img_succeeds(&["check", "-f", "qcow2"], &[&path]) {
                return;
            }
        }
    }
}

/// A file that leaves clusters of ones out: a check of the structure doesn't read them.
struct Hollow(std::fs::File);

impl Sink for Hollow {
    fn set_size(&self, size: u64) -> Result<()> {
        self.0.set_size(size)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        if bytes.len() == 65_536 && bytes[0] == 1 {
            return Ok(());
        }
        self.0.write_at(offset, bytes)
    }
}

#[test]
fn refcounts_hold_where_the_file_outgrows_a_block_of_them() {
    use super::output::{Content, Output};
    let bench = Bench::new();
    let path = bench.path("a.qcow2");
    let (ones, numbers) = (vec![1; 65_536], (0..65_535).map(|n: u32| n.to_le_bytes()[0]));
    let numbers: Vec<u8> = numbers.collect();
    let plain = Content::Plain(&ones);
    let packed = |length: usize| Content::Compressed(&numbers[..length]);
    let mixed = [
        packed(65_000),
        packed(3),
        packed(30_000),
        packed(40_000),
        packed(65_535),
    ];
    for every in [1u64, 97, 5000] {
        let file = Hollow(std::fs::File::create(&path).unwrap());
        let mut output = Output::start(&file, 16 << 30).unwrap();
        for index in 0..66_500u64 {
            let turn = usize::try_from(index / every % 5).unwrap();
            let content = if every > 1 && index % every == 0 {
                &mixed[turn]
            } else {
                &plain
            };
            output.cluster(index, content).unwrap();
        }
        let written = output.finish(Compression::Zlib).unwrap();
        file.0.set_len(written.length).unwrap();
        assert!(written.length > 2 << 30);
        assert_eq!(checked(&path).list(), [], "{every}");
        if !qemu_img_succeeds(&["check", "-f", "qcow2"], &[&path]) {
            return;
        }
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let disk = sample(20 * MIB);
    for packing in PACKINGS {
        let alone = written(&disk, packing, 1);
        assert!(alone == written(&disk, packing, 3));
    }
}

#[test]
fn progress_ends_at_the_total() {
    let mut last = None;
    let file = Seeking::new(Cursor::new(Vec::new()));
    let disk = sample(20 * MIB);
    write(&disk, &file, &Options::default(), &mut |p| last = Some(p)).unwrap();
    let total = disk.data_length().unwrap();
    assert_eq!(last, Some(Progress { done: total, total }));
}

#[test]
fn unusable_levels_and_disks_are_refused() {
    let refused = |disk: &dyn Source, packing| {
        let options = Options {
            packing,
            ..Options::default()
        };
        let file = Seeking::new(Cursor::new(Vec::new()));
        write(disk, &file, &options, &mut |_| {}).unwrap_err().kind()
    };
    let disk = Composed::new(MIB);
    for packing in [
        Packing::Zlib(0),
        Packing::Zlib(13),
        Packing::Zstd(0),
        Packing::Zstd(20),
    ] {
        assert_eq!(refused(&disk, packing), Kind::Invalid);
    }
    assert_eq!(refused(&Composed::new(u64::MAX), Packing::Plain), Kind::Ceiling);
}

#[test]
fn a_disk_beyond_its_declared_capacity_is_refused() {
    let bytes = written(&sample(20 * MIB), Packing::Plain, 1);
    let refused = Disk::open(Memory(bytes.clone()), 20 * MIB - 1, Companions::default());
    assert_eq!(refused.err().unwrap().kind(), Kind::Ceiling);
    assert_eq!(check(&Memory(bytes), MIB).unwrap_err().kind(), Kind::Ceiling);
}

#[test]
fn a_dirty_image_is_read_and_a_corrupt_one_is_not() {
    let disk = sample(20 * MIB);
    let mut bytes = written(&disk, Packing::Plain, 1);
    let [.., block] = places(&bytes);
    bytes[79] = 1;
    bytes[block..block + 100].fill(0);
    assert_equal(&opened(bytes.clone()).unwrap(), &disk);
    let findings = check(&Memory(bytes.clone()), CAPACITY_LIMIT).unwrap();
    assert!(findings.is_sound() && findings.list()[0].reason.contains("not closed"));
    bytes[79] = 2;
    assert_eq!(opened(bytes).err().unwrap().kind(), Kind::Unsupported);
}

/// Places of the writer's own tables: the L1 table, the first L2 table, the refcount table and its first block.
fn places(bytes: &[u8]) -> [usize; 4] {
    let number = |at: usize| usize::try_from(crate::field::u64_be(bytes, at) & !(1 << 63)).unwrap();
    let (l1, refcounts) = (number(40), number(48));
    [l1, number(l1), refcounts, number(refcounts)]
}

fn findings_with(changes: &[(usize, u64)]) -> Vec<(Severity, String)> {
    let mut bytes = written(&sample(20 * MIB), Packing::Plain, 1);
    for &(at, value) in changes {
        crate::field::put(&mut bytes, at, &value.to_be_bytes());
    }
    let findings = check(&Memory(bytes), CAPACITY_LIMIT).unwrap();
    findings
        .list()
        .iter()
        .map(|f| (f.severity, f.reason.clone()))
        .collect()
}

#[test]
fn check_finds_lies_in_every_table() {
    let bytes = written(&sample(20 * MIB), Packing::Plain, 1);
    let [l1, l2, refcounts, block] = places(&bytes);
    let entry = crate::field::u64_be(&bytes, l2);
    let found = |changes: &[(usize, u64)], what: &str| {
        let findings = findings_with(changes);
        let named =
            |(severity, reason): &(Severity, String)| *severity == Severity::Error && reason.contains(what);
        assert!(findings.iter().any(named), "{what}: {findings:?}");
    };
    assert_eq!(findings_with(&[]), []);
    found(&[(l1, 1 << 50)], "an L2 table is outside");
    found(&[(l1, 512)], "L1 entry");
    found(&[(l1, l1 as u64)], "an L2 table lies over");
    found(&[(l2, 1 << 50)], "a cluster is outside");
    found(&[(l2, 4096)], "L2 entry");
    found(&[(l2 + 8, entry)], "a cluster lies over");
    found(&[(l2 + 8, l2 as u64)], "a cluster lies over");
    found(&[(refcounts, 1 << 50)], "a refcount block is outside");
    found(&[(refcounts, 0)], "refcount of 0");
    found(&[(block, 0)], "refcount of 0");
    found(&[(block, 0x0001_0000_0001_0001)], "refcount of 0");
    found(&[(40, 1 << 50)], "the L1 table is outside");
    found(&[(48, 0)], "the refcount table lies over");
    let leak = findings_with(&[(l2, 0)]);
    assert!(matches!(leak.as_slice(), [(Severity::Leak, _)]), "{leak:?}");
}

#[test]
fn a_table_that_is_named_thousands_of_times_is_found_at_once() {
    let header = Header {
        size: 16 << 40,
        l1_entries: 1 << 15,
        ..Header::read(&Memory(written(&Composed::new(0), Packing::Plain, 1))).unwrap()
    };
    let mut bytes = header.render();
    let table = (8u64 << 16).to_be_bytes();
    bytes.resize(9 << 16, 0);
    crate::field::put(&mut bytes, 40, &(4u64 << 16).to_be_bytes());
    crate::field::put(&mut bytes, 48, &(3u64 << 16).to_be_bytes());
    for entry in 0..1 << 15 {
        crate::field::put(&mut bytes, (4 << 16) + entry * 8, &table);
    }
    assert_eq!(opened(bytes.clone()).err().unwrap().kind(), Kind::Overlap);
    let findings = check(&Memory(bytes), CAPACITY_LIMIT).unwrap();
    assert!(!findings.is_sound() && findings.omitted() > 1000);
}

#[test]
fn every_truncation_is_an_error_or_shows_the_same_disk() {
    let disk = sample(20 * MIB);
    for packing in PACKINGS {
        let bytes = written(&disk, packing, 1);
        for length in (0..bytes.len()).step_by(50_000) {
            let cut = Memory(bytes[..length].to_vec());
            assert!(
                check(&cut, CAPACITY_LIMIT).map_or(true, |found| !found.is_sound()),
                "{length}"
            );
        }
    }
}

#[test]
fn data_that_the_file_has_lost_is_no_hole() {
    let bench = Bench::new();
    let Some(path) = bench.converted(&sample(20 * MIB), &["-o", "cluster_size=4096"]) else {
        return;
    };
    let bytes = std::fs::read(&path).unwrap();
    let cut = bytes.len() - 100;
    assert_eq!(
        read_through(&opened(bytes[..cut].to_vec()).unwrap())
            .unwrap_err()
            .kind(),
        Kind::Truncated
    );
    assert!(check(&Memory(bytes[..cut].to_vec()), CAPACITY_LIMIT).map_or(true, |found| !found.is_sound()));
}

/// Reads all of a disk; how much there was.
fn read_through(disk: &dyn Source) -> Result<u64> {
    let (mut buffer, mut from, mut total) = (vec![0; 1 << 16], 0, 0);
    while let Some(data) = disk.next_data(from)? {
        let piece = &mut buffer[..usize::try_from((data.end - data.start).min(1 << 16)).unwrap()];
        disk.read_at(data.start, piece)?;
        from = data.start + piece.len() as u64;
        total += piece.len() as u64;
    }
    Ok(total)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_sparse_disk_survives_writing_and_reading(
        size in 0u64..80 * MIB,
        pieces in proptest::collection::vec((any::<u64>(), proptest::collection::vec(0u8..4, 1..3000)), 0..12),
        packing in prop::sample::select(&PACKINGS[..]),
        threads in 1usize..4,
    ) {
        let mut disk = Composed::new(size);
        for (at, bytes) in pieces {
            let _ = disk.put(at % size.max(1), bytes);
        }
        let bytes = written(&disk, packing, threads);
        prop_assert!(check(&Memory(bytes.clone()), CAPACITY_LIMIT).unwrap().list().is_empty());
        let mut whole = Composed::new(size.next_multiple_of(512));
        whole.embed(0, disk).unwrap();
        assert_equal(&opened(bytes.clone()).unwrap(), &whole);
        let again = opened(bytes.clone()).unwrap();
        // Read by several threads at once.
        prop_assert!(written(&again, packing, threads) == bytes);
    }

    #[test]
    fn no_damage_panics_or_hangs(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        packing in prop::sample::select(&PACKINGS[..]),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut disk = Composed::new(20 * MIB);
        disk.put(100, vec![3; 1000]).unwrap();
        disk.put(19 * MIB, (0..100_000u32).map(|n| n.to_le_bytes()[0]).collect()).unwrap();
        let mut bytes = written(&disk, packing, 1);
        let [l1, l2, refcounts, block] = places(&bytes);
        for (at, value) in damage {
            // Where the bytes mean something.
            let spots = [0..112, l1..l1 + 8, l2..l2 + 3000, refcounts..refcounts + 8, block..block + 40, 0..bytes.len()];
            let spot = &spots[usize::from(value) % spots.len()];
            let at = spot.start + at.index(spot.len());
            bytes[at] = bytes[at].wrapping_add(value | 1);
        }
        bytes.truncate(bytes.len().min(65_536 + cut.index(bytes.len() * 2)));
        let _ = check(&Memory(bytes.clone()), 1 << 32);
        if let Ok(disk) = Disk::open(Memory(bytes), 1 << 32, Companions::default()) {
            let _ = read_through(&disk);
        }
    }
}
