//! Compressed files.

use super::*;

/// A package of a compressed file with these stored bytes.
fn compressed(stored: &[u8]) -> Package {
    let file = File {
        compression: Compression::Gzip,
        ..file("disk", Some(stored.len() as u64))
    };
    Package::of(file, &[("disk", stored)])
}

#[test]
fn several_gzip_streams_on_end_are_one_file() {
    let stored = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
    assert_eq!(compressed(&stored).read(), b"one two");
}

#[test]
fn what_gzip_and_split_make_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(30_000);
    std::fs::write(folder.path().join("disk"), &bytes).unwrap();
    let made = std::process::Command::new("sh")
        .args(["-c", "gzip disk && split -b 9000 -d -a 9 disk.gz disk."])
        .current_dir(folder.path())
        .output()
        .unwrap();
    if !made.status.success() {
        return println!("skipped: no gzip or no split");
    }
    let size = folder.path().join("disk.gz").metadata().unwrap().len();
    let file = File {
        compression: Compression::Gzip,
        chunk_size: Some(9000),
        ..file("disk", Some(size))
    };
    let package = Package::of(file.clone(), &[]);
    let path = folder.path().join("a.ovf");
    std::fs::write(&path, &package.members[0].1).unwrap();
    let mut index = Index::read(Source::open(&path).unwrap()).unwrap();
    assert_eq!(index.members().len(), 5);
    let mut read = Vec::new();
    let mut reader = index.file(&file, &Limits::default()).unwrap();
    reader.read_to_end(&mut read).unwrap();
    assert!(read == bytes);
}

#[test]
fn compressed_disks_of_the_field_are_read() {
    let Some(corpus) = corpus() else { return };
    let mut sizes = Vec::new();
    let compressed_files = files_under(&corpus);
    for path in compressed_files
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "gz"))
    {
        sizes.push(compressed(&std::fs::read(path).unwrap()).read().len());
    }
    println!("{} compressed files unpack into {sizes:?} bytes", sizes.len());
    assert!(!sizes.is_empty() && sizes.iter().all(|size| *size > 0));
}

#[test]
fn a_gzip_stream_that_is_cut_damaged_or_followed_by_something_is_refused_with_its_place() {
    let bytes = noise(5000);
    let whole = gzip(&bytes);
    let refused = |stored: &[u8]| {
        let (kind, member) = compressed(stored).refused(&Limits::default());
        assert_eq!(member.as_deref(), Some("disk"));
        kind
    };
    for length in [0, 1, 5, 10, 11, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
        assert_eq!(refused(&whole[..length]), Kind::GzipTruncated, "{length}");
    }
    for tail in [&b"\0"[..], b"x", b"\x1F\x8Cx0000000", b"\x1F\x8Bx0000000"] {
        let stored = [&whole, tail].concat();
        assert_eq!(refused(&stored), Kind::GzipTrailingData, "{tail:?}");
    }
    assert_eq!(refused(&[&whole[..], b"\x1F\x8B"].concat()), Kind::GzipTruncated);
    for place in [0, 2, 20, whole.len() - 6, whole.len() - 1] {
        let mut stored = whole.clone();
        stored[place] ^= 0xFF;
        let kind = refused(&stored);
        assert!(
            matches!(kind, Kind::GzipMalformed | Kind::GzipTruncated),
            "{place}: {kind:?}"
        );
    }
    // Descriptor and manifest take two blocks and one; the garbage follows the stream in the fourth member's bytes.
    let package = compressed(&[&whole[..], b"garbage"].concat());
    let error = package.reads(&Limits::default()).remove(0).unwrap_err();
    let stored = package.archive();
    let at = stored.windows(7).position(|bytes| bytes == b"garbage").unwrap();
    assert_eq!(error.place().offset, Some(at as u64), "{error}");
}

#[test]
fn a_file_that_unpacks_into_more_than_it_may_is_refused_before_it_is_given() {
    let stored = gzip(&vec![0; 10 << 20]);
    let package = compressed(&stored);
    let limits = |bytes| Limits {
        bytes,
        ..Limits::default()
    };
    assert_eq!(
        package.reads(&limits(10 << 20))[0].as_ref().unwrap().len(),
        10 << 20
    );
    assert_eq!(package.refused(&limits((10 << 20) - 1)).0, Kind::FileLimit);
    assert_eq!(package.refused(&limits(0)).0, Kind::FileLimit);
    let plain = Package::of(file("disk", Some(4)), &[("disk", b"1234")]);
    assert_eq!(plain.refused(&limits(3)).0, Kind::FileLimit);
}

#[test]
fn a_compressed_disk_is_limited_by_its_capacity_and_another_file_by_a_constant() {
    let mut package = compressed(&gzip(b""));
    let of = |package: &Package| Limits::of(&package.descriptor, &package.descriptor.files[0]).unwrap();
    assert_eq!(of(&package).bytes, MAX_UNPACKED_BYTES);
    package.descriptor.disks = vec![Disk {
        id: "d".to_owned(),
        file_ref: Some("disk".to_owned()),
        capacity: Capacity::Number(1 << 30),
        ..Disk::default()
    }];
    assert_eq!(of(&package).bytes, (1 << 30) + (1 << 27) + (16 << 20));
    package.descriptor.files[0].compression = Compression::None;
    assert_eq!(of(&package).bytes, u64::MAX);
}
