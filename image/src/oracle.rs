//! `qemu-img` as the judge of what the readers and writers do; tests say that they were skipped where it is not installed.

use std::path::Path;
use std::process::{Command, Output};

use crate::source::{Composed, Source, write_raw};

pub(crate) const MIB: u64 = 1 << 20;

/// Runs `qemu-img`; nothing where it is not installed.
pub(crate) fn qemu_img(arguments: &[&str], files: &[&Path]) -> Option<Output> {
    let output = Command::new("qemu-img").args(arguments).args(files).output();
    if output.is_err() {
        eprintln!("skipped: qemu-img is not installed");
    }
    output.ok()
}

/// Runs `qemu-img`, which has to succeed; whether it is installed.
pub(crate) fn qemu_img_succeeds(arguments: &[&str], files: &[&Path]) -> bool {
    let Some(output) = qemu_img(arguments, files) else {
        return false;
    };
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    true
}

/// A disk with text, noise and zeros, at its ends, across boundaries and in a run of some megabytes.
pub(crate) fn sample(size: u64) -> Composed {
    let mut disk = Composed::new(size);
    disk.put(0, b"head".to_vec()).unwrap();
    disk.put(size - 4, b"tail".to_vec()).unwrap();
    disk.put(3 * MIB - 2, b"across".to_vec()).unwrap();
    let mut state = 7u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    disk.put(4 * MIB + 77, (0..700_000).map(|_| noise()).collect())
        .unwrap();
    disk.put(5 * MIB + 100, (0..2_000_000).map(|_| noise() & 7).collect())
        .unwrap();
    disk.put(9 * MIB, (0..150_000).map(|_| noise()).collect())
        .unwrap();
    disk
}

/// Writes the raw image of a disk.
pub(crate) fn raw(disk: &dyn Source, path: &Path) {
    write_raw(disk, &std::fs::File::create(path).unwrap()).unwrap();
}

/// Compares two disks byte by byte, in reads of an odd length, and sees that nothing lies outside the data stretches.
pub(crate) fn assert_equal(disk: &dyn Source, expected: &dyn Source) {
    assert_eq!(disk.size(), expected.size());
    const STEP: u64 = 300_007;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < disk.size() {
        let length = usize::try_from(STEP.min(disk.size() - at)).unwrap();
        left.resize(length, 1);
        right.resize(length, 2);
        disk.read_at(at, &mut left).unwrap();
        expected.read_at(at, &mut right).unwrap();
        assert!(left == right, "differs within {STEP} bytes from {at}");
        at += STEP;
    }
    let mut at = 0;
    while let Some(data) = expected.next_data(at).unwrap() {
        let mut from = data.start;
        while from < data.end {
            let found = disk.next_data(from).unwrap();
            let found = found.unwrap_or(disk.size()..disk.size());
            assert!(found.start >= from && found.start <= found.end && found.end <= disk.size());
            // What is skipped has to be zeros.
            let skipped = found.start.min(data.end) - from;
            let mut hole = vec![1; usize::try_from(skipped).unwrap()];
            expected.read_at(from, &mut hole).unwrap();
            assert!(
                hole.iter().all(|&byte| byte == 0),
                "data at {from} is told to be a hole"
            );
            from = found.end.min(data.end).max(from + skipped);
        }
        at = data.end;
    }
}
