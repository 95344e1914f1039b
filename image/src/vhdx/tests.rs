use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::error::{Kind, Result};
use crate::field::{put, u32_le, u64_le};
use crate::oracle::{MIB, assert_equal, qemu_img_succeeds, raw, sample};
use crate::source::{Composed, Memory, RawFile, Source};

/// `qemu-img convert` of `disk`; nothing where it is not installed.
fn converted(disk: &dyn Source, options: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("a.raw"), folder.path().join("a.vhdx"));
    raw(disk, &from);
    let arguments = ["convert", "-f", "raw", "-O", "vhdx", "-o", options];
    qemu_img_succeeds(&arguments, &[&from, &to]).then_some((folder, to))
}

fn converted_bytes() -> Option<Vec<u8>> {
    let (_folder, path) = converted(&sample(20 * MIB), "subformat=dynamic,block_size=1M")?;
    Some(std::fs::read(path).unwrap())
}

fn opened(bytes: &[u8]) -> Result<Disk<Memory>> {
    Disk::open(Memory(bytes.to_vec()), CAPACITY_LIMIT)
}

/// Where the region of the table's entry `index` begins.
fn region_at(bytes: &[u8], index: usize) -> usize {
    usize::try_from(u64_le(bytes, (192 << 10) + 16 + 32 * index + 16)).unwrap()
}

/// BAT and metadata, in this order, whatever the table's.
fn regions(bytes: &[u8]) -> (usize, usize) {
    let (first, second) = (region_at(bytes, 0), region_at(bytes, 1));
    if bytes[first..].starts_with(b"metadata") {
        (second, first)
    } else {
        (first, second)
    }
}

/// Stores the checksum of the table of `length` bytes at `at`.
fn seal(bytes: &mut [u8], at: usize, length: usize) {
    let sum = crc32c::crc32c(&bytes[at..at + length], 4);
    put(bytes, at + 4, &sum.to_le_bytes());
}

#[test]
fn every_variant_by_qemu_img_is_read_and_found_sound() {
    let disk = sample(20 * MIB);
    let variants = [
        "subformat=dynamic",
        "subformat=dynamic,block_size=1M",
        "subformat=dynamic,block_size=256M",
        "subformat=dynamic,block_state_zero=off",
        "subformat=fixed",
        "subformat=fixed,block_size=1M",
        "subformat=fixed,log_size=4M",
    ];
    for variant in variants {
        let Some((_folder, path)) = converted(&disk, variant) else {
            return;
        };
        let file = || RawFile::open(&path).unwrap();
        assert_equal(&Disk::open(file(), CAPACITY_LIMIT).unwrap(), &disk);
        let findings = check(&file(), CAPACITY_LIMIT).unwrap();
        assert_eq!(findings.list(), [], "{variant}");
    }
}

#[test]
fn disks_with_bitmaps_entries_between_blocks_and_vast_ones_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, from) = (folder.path().join("a.vhdx"), folder.path().join("a.raw"));
    // More than a chunk of 4 GiB, in blocks of 1 MiB.
    let mut disk = Composed::new(9 << 30);
    for at in [0, (4 << 30) - 3, (4 << 30) + 5 * MIB, (9 << 30) - 9] {
        disk.put(at, b"there".to_vec()).unwrap();
    }
    raw(&disk, &from);
    let convert = ["convert", "-f", "raw", "-O", "vhdx", "-o", "block_size=1M"];
    if !qemu_img_succeeds(&convert, &[&from, &path]) {
        return;
    }
    let read = Disk::open(RawFile::open(&path).unwrap(), CAPACITY_LIMIT).unwrap();
    for (at, piece) in disk.pieces() {
        let mut found = vec![0; piece.len()];
        read.read_at(at, &mut found).unwrap();
        assert_eq!(found, piece);
    }
    assert!(read.data_length().unwrap() <= 5 * MIB);
    assert!(
        check(&RawFile::open(&path).unwrap(), CAPACITY_LIMIT)
            .unwrap()
            .is_sound()
    );
    qemu_img_succeeds(&["create", "-f", "vhdx"], &[&path, Path::new("8T")]);
    let vast = Disk::open(RawFile::open(&path).unwrap(), CAPACITY_LIMIT).unwrap();
    assert_eq!((vast.size(), vast.data_length().unwrap()), (8 << 40, 0));
}

#[test]
fn sectors_of_4096_bytes_are_read() {
    let Some(mut bytes) = converted_bytes() else {
        return;
    };
    let (_, metadata) = regions(&bytes);
    for entry in (metadata + 32..metadata + 32 + 5 * 32).step_by(32) {
        // The items of four bytes are the sector sizes.
        if u32_le(&bytes, entry + 20) == 4 {
            let item = metadata + u32_le(&bytes, entry + 16) as usize;
            put(&mut bytes, item, &4096u32.to_le_bytes());
        }
    }
    let disk = opened(&bytes).unwrap();
    assert_eq!(disk.metadata().logical_sector, 4096);
    assert_equal(&disk, &sample(20 * MIB));
}

#[test]
fn one_damaged_copy_of_a_header_or_region_table_is_survived() {
    let Some(bytes) = converted_bytes() else { return };
    for damaged in [
        &[64 << 10][..],
        &[128 << 10],
        &[192 << 10],
        &[256 << 10],
        &[64 << 10, 256 << 10],
    ] {
        let mut changed = bytes.clone();
        damaged.iter().for_each(|&at| changed[at + 40] ^= 1);
        assert_equal(&opened(&changed).unwrap(), &sample(20 * MIB));
    }
    for both in [[64 << 10, 128 << 10], [192 << 10, 256 << 10]] {
        let mut changed = bytes.clone();
        both.iter().for_each(|&at| changed[at + 40] ^= 1);
        assert_eq!(opened(&changed).err().unwrap().kind(), Kind::Checksum);
    }
}

#[test]
fn logs_parents_and_unknown_parts_are_refused_by_name() {
    let Some(bytes) = converted_bytes() else { return };
    let (_, metadata) = regions(&bytes);
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = bytes.clone();
        change(&mut changed);
        let error = opened(&changed).err().unwrap();
        (error.kind(), error.to_string())
    };
    let log = refused(&|bytes| {
        for at in [64 << 10, 128 << 10] {
            bytes[at + 48] = 1;
            seal(bytes, at, 4096);
        }
    });
    assert!(log.0 == Kind::Unsupported && log.1.contains("log"), "{log:?}");
    let parent = refused(&|bytes| {
        for entry in (metadata + 32..metadata + 32 + 5 * 32).step_by(32) {
            let item = metadata + u32_le(bytes, entry + 16) as usize;
            if u32_le(bytes, entry + 20) == 8 && u64_le(bytes, item) != 20 << 20 {
                bytes[item + 4] |= 2;
            }
        }
    });
    assert!(
        parent.0 == Kind::Unsupported && parent.1.contains("differencing"),
        "{parent:?}"
    );
    let region = refused(&|bytes| {
        bytes[(192 << 10) + 16] ^= 1;
        bytes[(192 << 10) + 16 + 28] |= 1;
        seal(bytes, 192 << 10, 64 << 10);
    });
    assert!(
        region.0 == Kind::Unsupported && region.1.contains("required region"),
        "{region:?}"
    );
    let item = refused(&|bytes| bytes[metadata + 32] ^= 1);
    assert!(
        item.0 == Kind::Unsupported && item.1.contains("required metadata item"),
        "{item:?}"
    );
}

#[test]
fn regions_outside_or_over_each_other_are_refused() {
    let Some(bytes) = converted_bytes() else { return };
    let refused = |place: u64| {
        let mut changed = bytes.clone();
        put(&mut changed, (192 << 10) + 16 + 16, &place.to_le_bytes());
        seal(&mut changed, 192 << 10, 64 << 10);
        opened(&changed).err().unwrap().kind()
    };
    assert_eq!(refused(1 << 40), Kind::Truncated);
    assert_eq!(refused(u64::MAX << 20), Kind::Truncated);
    assert_eq!(refused(0), Kind::Malformed);
    assert_eq!(refused(MIB + 512), Kind::Malformed);
    assert_eq!(refused(region_at(&bytes, 1) as u64), Kind::Overlap);
    assert_eq!(
        Disk::open(Memory(bytes.clone()), MIB).err().unwrap().kind(),
        Kind::Ceiling
    );
}

#[test]
fn check_finds_blocks_outside_and_over_each_other() {
    let Some(bytes) = converted_bytes() else { return };
    let (bat, metadata) = regions(&bytes);
    let found = |entry: u64| {
        let mut changed = bytes.clone();
        put(&mut changed, bat + 8, &entry.to_le_bytes());
        let findings = check(&Memory(changed), CAPACITY_LIMIT).unwrap();
        findings.list().first().map(|finding| finding.reason.clone())
    };
    let first = u64_le(&bytes, bat);
    assert!(found(first).unwrap().contains("over something"));
    assert!(found(metadata as u64 | 6).unwrap().contains("over something"));
    assert!(found(1 << 50 | 6).unwrap().contains("outside"));
    assert!(found(u64::MAX << 20 | 6).unwrap().contains("outside"));

    let cut = Memory(bytes[..bytes.len() - 100_000].to_vec());
    assert!(!check(&cut, CAPACITY_LIMIT).unwrap().is_sound());
    assert!(found(first | 8).unwrap().contains("reserved"));
    assert!(found(first | 7).unwrap().contains("partial"));
    assert_eq!(found(2), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_damage_panics_or_hangs(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        static BYTES: std::sync::LazyLock<Option<Vec<u8>>> = std::sync::LazyLock::new(converted_bytes);
        let Some(mut bytes) = BYTES.clone() else { return Ok(()) };
        let (bat, metadata) = regions(&bytes);
        for (at, value) in damage {
            // Where the bytes mean something.
            let spots = [
                (64 << 10)..(64 << 10) + 80, (192 << 10)..(192 << 10) + 80, metadata..metadata + 192,
                metadata + 65_536..metadata + 65_600, bat..bat + 168, 0..bytes.len(),
            ];
            let spot = &spots[usize::from(value) % spots.len()];
            let at = spot.start + at.index(spot.len());
            bytes[at] = bytes[at].wrapping_add(value | 1);
        }
        for (at, length) in [(64 << 10, 4096), (128 << 10, 4096), (192 << 10, 65_536)] {
            seal(&mut bytes, at, length);
        }
        bytes.truncate(65_536 + cut.index(bytes.len() * 2));
        let _ = check(&Memory(bytes.clone()), 1 << 32);
        if let Ok(disk) = Disk::open(Memory(bytes), 1 << 32) {
            let mut from = 0;
            let mut buffer = vec![0; 1 << 20];
            while let Ok(Some(data)) = disk.next_data(from) {
                let length = usize::try_from(data.end - data.start).unwrap().min(buffer.len());
                let _ = disk.read_at(data.start, &mut buffer[..length]);
                from = data.start + length as u64;
            }
        }
    }
}
