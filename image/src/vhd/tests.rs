use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::*;
use crate::error::{Kind, Result};
use crate::source::{Composed, Memory, RawFile, Seeking, Source, write_raw};

const MIB: u64 = 1 << 20;
const FORMS: [Form; 2] = [Form::Fixed, Form::Dynamic];

fn vhd(disk: &dyn Source, form: Form) -> Vec<u8> {
    let sink = Seeking::new(Cursor::new(Vec::new()));
    let options = Options {
        form,
        ..Options::default()
    };
    let written = write(disk, &sink, &options, &mut |_| {}).unwrap();
    let bytes = sink.into_inner().into_inner();
    assert_eq!(written.length, bytes.len() as u64);
    bytes
}

/// Three blocks, at the disk's ends and across a block's boundary.
fn sample(size: u64) -> Composed {
    let mut disk = Composed::new(size);
    disk.put(0, b"head".to_vec()).unwrap();
    disk.put(8 * MIB - 2, b"across".to_vec()).unwrap();
    disk.put(size - 4, b"tail".to_vec()).unwrap();
    disk
}

/// Whether `found` has the bytes of `expected` and then zeros.
fn assert_same(found: &dyn Source, expected: &dyn Source) {
    let mut at = 0;
    while at < found.size() {
        let step = 3 * MIB / 2;
        let length = |size: u64| usize::try_from(step.min(size.saturating_sub(at))).unwrap();
        let mut ours = vec![1; length(found.size())];
        let mut theirs = vec![0; ours.len()];
        found.read_at(at, &mut ours).unwrap();
        expected
            .read_at(at.min(expected.size()), &mut theirs[..length(expected.size())])
            .unwrap();
        assert!(ours == theirs, "differs after {at}");
        at += step;
    }
    let mut data = Composed::new(found.size());
    let mut from = 0;
    while let Some(stretch) = found.next_data(from).unwrap() {
        assert!(stretch.start >= from && stretch.end > stretch.start && stretch.end <= found.size());
        from = stretch.end;
        let mut bytes = vec![0; usize::try_from(stretch.end - stretch.start).unwrap()];
        found.read_at(stretch.start, &mut bytes).unwrap();
        data.put(stretch.start, bytes).unwrap();
    }
    let mut at = 0;
    while at < expected.size() {
        let length = usize::try_from(MIB.min(expected.size() - at)).unwrap();
        let (mut ours, mut theirs) = (vec![1; length], vec![2; length]);
        data.read_at(at, &mut ours).unwrap();
        expected.read_at(at, &mut theirs).unwrap();
        assert!(ours == theirs, "data in a hole after {at}");
        at += MIB;
    }
}

#[test]
fn sizes_are_rounded_up_to_what_azure_takes() {
    for form in FORMS {
        let disk = sample(9 * MIB + 1000);
        let bytes = vhd(&disk, form);
        let ours = Disk::open(Memory(bytes), CAPACITY_LIMIT).unwrap();
        assert_eq!((ours.size(), ours.footer().form), (10 * MIB, form));
        assert_same(&ours, &disk);
        assert_eq!(ours.check().len(), 0);
    }
}

#[test]
fn empty_and_too_large_disks_are_refused() {
    let sink = Seeking::new(Cursor::new(Vec::new()));
    for size in [0, CAPACITY_LIMIT + 1, u64::MAX] {
        let refused = write(&Composed::new(size), &sink, &Options::default(), &mut |_| {});
        assert_eq!(refused.unwrap_err().kind(), Kind::Ceiling);
    }
}

#[test]
fn the_largest_disk_is_written_and_read_without_its_size() {
    let disk = sample(CAPACITY_LIMIT);
    let ours = Disk::open(Memory(vhd(&disk, Form::Dynamic)), CAPACITY_LIMIT).unwrap();
    let mut tail = [0; 4];
    ours.read_at(CAPACITY_LIMIT - 4, &mut tail).unwrap();
    assert_eq!(&tail, b"tail");
    assert_eq!(ours.data_length().unwrap(), 4 * 2 * MIB);
}

#[test]
fn sectors_that_the_bitmap_does_not_name_are_zeros() {
    let mut bytes = vhd(&Memory(vec![7; usize::try_from(2 * MIB).unwrap()]), Form::Dynamic);
    let bitmap = 2048;
    assert_eq!(bytes[bitmap..bitmap + 512], [0xff; 512]);
    bytes[bitmap] = 0b1011_1111;
    bytes[bitmap + 511] = 0xfe;
    let ours = Disk::open(Memory(bytes), CAPACITY_LIMIT).unwrap();
    let mut expected = vec![7; usize::try_from(2 * MIB).unwrap()];
    expected[512..1024].fill(0);
    let last = expected.len() - 512;
    expected[last..].fill(0);
    assert_same(&ours, &Memory(expected));
    assert_eq!(ours.next_data(0).unwrap(), Some(0..512));
    assert_eq!(ours.next_data(600).unwrap(), Some(1024..2 * MIB - 512));
    assert_eq!(ours.next_data(2 * MIB - 512).unwrap(), None);
}

fn with(bytes: &[u8], at: usize, field: &[u8]) -> Result<Disk<Memory>> {
    let mut changed = bytes.to_vec();
    changed[at..at + field.len()].copy_from_slice(field);
    Disk::open(Memory(changed), CAPACITY_LIMIT)
}

#[test]
fn blocks_that_overlap_or_lie_outside_are_found() {
    let bytes = vhd(&sample(16 * MIB), Form::Dynamic);
    let table = 1536;
    let findings = |entry: usize, sector: u32| -> Vec<Kind> {
        let disk = with(&bytes, table + entry * 4, &sector.to_be_bytes()).unwrap();
        disk.check().iter().map(crate::error::Error::kind).collect()
    };
    assert_eq!(findings(1, u32::MAX), []);
    assert_eq!(findings(1, 4), [Kind::Overlap]);
    let head = findings(1, 0);
    assert_eq!(
        head,
        [Kind::Overlap; 4],
        "with the copy, the header, the table and the first block"
    );
    assert_eq!(findings(1, u32::MAX - 1), [Kind::Truncated]);
    let large = vhd(&sample(1 << 30), Form::Dynamic);
    let everywhere = with(&large, table, &[0; 2048]).unwrap();
    assert_eq!(everywhere.check().len(), 64);
    let outside = with(&bytes, table + 4, &(u32::MAX - 1).to_be_bytes()).unwrap();
    assert_eq!(
        outside.read_at(2 * MIB, &mut [0; 9]).unwrap_err().kind(),
        Kind::Truncated
    );
}

#[test]
fn copies_that_differ_and_files_cut_short_are_refused() {
    let bytes = vhd(&sample(16 * MIB), Form::Dynamic);
    assert_eq!(with(&bytes, 70, b"other").err().unwrap().kind(), Kind::Checksum);
    let smaller = vhd(&sample(15 * MIB), Form::Dynamic);
    assert_eq!(
        with(&bytes, 0, &smaller[..512]).err().unwrap().kind(),
        Kind::Malformed
    );
    let fixed = vhd(&sample(16 * MIB), Form::Fixed);
    let cut = Disk::open(Memory(fixed[512..].to_vec()), CAPACITY_LIMIT);
    assert_eq!(cut.err().unwrap().kind(), Kind::Truncated);
    let long = Disk::open(Memory([&[0; 512], &fixed[..]].concat()), CAPACITY_LIMIT).unwrap();
    assert_eq!(long.check()[0].kind(), Kind::Malformed);
    let old = Disk::open(Memory(fixed[..fixed.len() - 1].to_vec()), CAPACITY_LIMIT).unwrap();
    assert_same(&old, &sample(16 * MIB));
    let small = Disk::open(Memory(fixed), MIB);
    assert_eq!(small.err().unwrap().kind(), Kind::Ceiling);
    for length in [0, 1, 511, 512] {
        assert!(Disk::open(Memory(bytes[..length].to_vec()), CAPACITY_LIMIT).is_err() || length == 512);
    }
}

fn qemu_img(arguments: &[&str], files: &[&Path]) -> bool {
    match Command::new("qemu-img").args(arguments).args(files).output() {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                output.status.success() && !told.contains("mismatch"),
                "{arguments:?}: {output:?}"
            );
            true
        }
        Err(_) => {
            eprintln!("skipped: qemu-img is not installed");
            false
        }
    }
}

#[test]
fn disks_by_qemu_img_read_as_the_raw_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, vhd) = (folder.path().join("a.raw"), folder.path().join("a.vhd"));
    for size in [64 * MIB, 40 * MIB + 512 * 3] {
        let disk = sample(size);
        write_raw(&disk, &std::fs::File::create(&raw).unwrap()).unwrap();
        for (form, options) in [
            (Form::Dynamic, "subformat=dynamic,force_size=on"),
            (Form::Fixed, "subformat=fixed,force_size=on"),
            // Without force_size QEMU rounds the size up to its geometry.
            (Form::Dynamic, "subformat=dynamic"),
        ] {
            if !qemu_img(
                &["convert", "-f", "raw", "-O", "vpc", "-o", options],
                &[&raw, &vhd],
            ) {
                return;
            }
            let theirs = Disk::open(RawFile::open(&vhd).unwrap(), CAPACITY_LIMIT).unwrap();
            assert_eq!(theirs.footer().form, form);
            if options.contains("force_size") {
                assert_eq!(theirs.size(), size);
            } else {
                let geometry = theirs.footer().geometry;
                assert!(theirs.size() >= size && geometry.total() * 512 == theirs.size());
                assert_eq!(geometry, Geometry::of(theirs.size() / 512));
            }
            assert_same(&theirs, &disk);
            assert_eq!(theirs.check().len(), 0, "{options}: {:?}", theirs.check());
        }
    }
}

#[test]
fn qemu_img_reads_our_disks_as_the_raw_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, vhd) = (folder.path().join("a.raw"), folder.path().join("a.vhd"));
    for size in [64 * MIB, 41 * MIB, 3 << 30, 200 << 30] {
        let disk = sample(size);
        write_raw(&disk, &std::fs::File::create(&raw).unwrap()).unwrap();
        for form in FORMS {
            let options = Options {
                form,
                ..Options::default()
            };
            let file = std::fs::File::create(&vhd).unwrap();
            write(&RawFile::open(&raw).unwrap(), &file, &options, &mut |_| {}).unwrap();
            if !qemu_img(&["compare", "-f", "raw", "-F", "vpc"], &[&raw, &vhd]) {
                return;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_sparse_disk_survives_both_forms(
        size in 1u64..20 * MIB,
        pieces in proptest::collection::vec((any::<u64>(), proptest::collection::vec(0u8..4, 1..3000)), 0..8),
        fixed in any::<bool>(),
    ) {
        let mut disk = Composed::new(size);
        for (at, bytes) in pieces {
            let _ = disk.put(at % size, bytes);
        }
        let form = if fixed { Form::Fixed } else { Form::Dynamic };
        let ours = Disk::open(Memory(vhd(&disk, form)), CAPACITY_LIMIT).unwrap();
        assert_same(&ours, &disk);
        prop_assert_eq!(ours.check().len(), 0);
    }

    #[test]
    fn no_damage_panics_reader_or_check(
        fixed in any::<bool>(),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        sums in any::<bool>(),
    ) {
        let mut bytes = vhd(&sample(16 * MIB), if fixed { Form::Fixed } else { Form::Dynamic });
        for (at, value) in damage {
            bytes[at.index(3072)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // With checksums that match, damage gets further.
        if sums && !fixed && bytes.len() > 2048 {
            let sum = super::footer::checksum(&bytes[..512], 64).to_be_bytes();
            bytes[64..68].copy_from_slice(&sum);
            let sum = super::footer::checksum(&bytes[512..1536], 36).to_be_bytes();
            bytes[548..552].copy_from_slice(&sum);
            let (copy, end) = (bytes[..512].to_vec(), bytes.len() - 512);
            bytes[end..].copy_from_slice(&copy);
        }
        if let Ok(disk) = Disk::open(Memory(bytes), CAPACITY_LIMIT) {
            let _ = disk.check();
            let mut buffer = vec![0; usize::try_from(disk.size().min(MIB)).unwrap()];
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
