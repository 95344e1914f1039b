//! Descriptors that lead to other files, and where they may not lead.

use super::*;
use std::fs;

fn descriptor(extent: &str, id: u32, parent: Option<(u32, &str)>) -> String {
    let parent = match parent {
        Some((id, hint)) => format!("parentCID={id:08x}\nparentFileNameHint=\"{hint}\"\n"),
        None => "parentCID=ffffffff\n".into(),
    };
    format!(
        "# Disk DescriptorFile\nversion=1\nCID={id:08x}\n{parent}createType=\"monolithicFlat\"\n{extent}\n"
    )
}

fn kind(path: &Path, opening: &Opening) -> Kind {
    Disk::open_path(path, opening).err().expect("refused").kind()
}

#[test]
fn extents_outside_the_folder_and_other_than_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::write(folder.path().join("secret"), vec![7; 4096]).unwrap();
    std::os::unix::fs::symlink("../secret", inner.join("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, inner.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    fs::create_dir(inner.join("folder")).unwrap();
    let vmdk = inner.join("a.vmdk");
    let refused = |name: &str| {
        fs::write(&vmdk, descriptor(&format!("RW 8 FLAT \"{name}\" 0"), 1, None)).unwrap();
        kind(&vmdk, &Opening::default())
    };
    for name in [
        "../secret",
        "..",
        ".",
        "",
        "a\\b",
        "c:a",
        "inner/link",
        "pipe",
        "folder",
    ] {
        assert_eq!(refused(name), Kind::Invalid, "{name:?}");
    }
    assert_eq!(
        refused(&folder.path().join("secret").display().to_string()),
        Kind::Invalid
    );
    assert_eq!(refused("link"), Kind::Io);
    assert_eq!(refused("missing"), Kind::Io);
}

#[test]
fn flat_extents_short_or_shared_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let vmdk = folder.path().join("a.vmdk");
    fs::write(
        folder.path().join("flat"),
        (0..4096)
            .map(|n| u8::try_from(n / 512).unwrap())
            .collect::<Vec<_>>(),
    )
    .unwrap();
    let open = |extents: &str| {
        fs::write(&vmdk, descriptor(extents, 1, None)).unwrap();
        Disk::open_path(&vmdk, &Opening::default())
    };
    let failed = |extents| open(extents).err().unwrap().kind();
    assert_eq!(failed("RW 9 FLAT \"flat\" 0"), Kind::Truncated);
    assert_eq!(failed("RW 1 FLAT \"flat\" 18446744073709551615"), Kind::Truncated);
    assert_eq!(
        failed("RW 4 FLAT \"flat\" 0\nRW 4 FLAT \"flat\" 3"),
        Kind::Overlap
    );
    let disk =
        open("RW 2 FLAT \"flat\" 6\nRW 1 ZERO\nNOACCESS 1 FLAT \"flat\" 5\nRW 2 FLAT \"flat\" 0").unwrap();
    let mut found = [9; 3072];
    disk.read_at(0, &mut found).unwrap();
    assert_eq!(
        [found[0], found[512], found[1024], found[1536], found[2560]],
        [6, 7, 0, 0, 1]
    );
    let small = Opening {
        capacity_limit: 1024,
        parents: None,
    };
    assert_eq!(kind(&vmdk, &small), Kind::Ceiling);
}

#[test]
fn parents_that_nobody_allowed_outside_in_a_ring_too_many_or_changed_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let put = |name: &str, id, parent: Option<(u32, &str)>| {
        fs::write(inner.join(name), descriptor("RW 8 ZERO", id, parent)).unwrap();
        inner.join(name)
    };
    let within = Opening {
        parents: Some(inner.clone()),
        ..Opening::default()
    };
    fs::write(folder.path().join("outer.vmdk"), descriptor("RW 8 ZERO", 5, None)).unwrap();
    let delta = put("delta.vmdk", 1, Some((5, "../outer.vmdk")));
    assert_eq!(kind(&delta, &Opening::default()), Kind::Unsupported);
    assert_eq!(kind(&delta, &within), Kind::Unsupported);
    let wide = Opening {
        parents: Some(folder.path().into()),
        ..Opening::default()
    };
    assert!(Disk::open_path(&delta, &wide).is_ok());
    std::os::unix::fs::symlink("../outer.vmdk", inner.join("link.vmdk")).unwrap();
    let linked = put("linked.vmdk", 1, Some((5, "link.vmdk")));
    assert_eq!(kind(&linked, &within), Kind::Unsupported);

    put("base.vmdk", 7, None);
    let changed = put("changed.vmdk", 1, Some((8, "base.vmdk")));
    assert_eq!(kind(&changed, &within), Kind::Differs);
    put("ring-a.vmdk", 1, Some((2, "ring-b.vmdk")));
    let ring = put("ring-b.vmdk", 2, Some((1, "ring-a.vmdk")));
    assert_eq!(kind(&ring, &within), Kind::Overlap);
    let own = put("own.vmdk", 1, Some((1, "own.vmdk")));
    assert_eq!(kind(&own, &within), Kind::Overlap);
    for n in 0..40 {
        put(&format!("{n}.vmdk"), 1, Some((1, &format!("{}.vmdk", n + 1))));
    }
    put("40.vmdk", 1, None);
    assert_eq!(kind(&inner.join("0.vmdk"), &within), Kind::Ceiling);
    assert!(Disk::open_path(&inner.join("20.vmdk"), &within).is_ok());
}

#[test]
fn a_descriptor_alone_is_no_disk_and_a_huge_one_is_not_read() {
    let text = descriptor("RW 8 ZERO", 1, None);
    let alone = Disk::open(Memory(text.clone().into_bytes()), CAPACITY_LIMIT);
    assert_eq!(alone.err().unwrap().kind(), Kind::Unsupported);
    let folder = tempfile::tempdir().unwrap();
    let vmdk = folder.path().join("a.vmdk");
    fs::write(&vmdk, text + &"#\n".repeat(1 << 20)).unwrap();
    assert_eq!(kind(&vmdk, &Opening::default()), Kind::Ceiling);
}

#[test]
fn disks_and_extents_of_no_bytes_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let vmdk = folder.path().join("a.vmdk");
    fs::write(folder.path().join("flat"), vec![7; 512]).unwrap();
    for (extents, size) in [
        ("RW 0 ZERO", 0),
        ("RW 0 FLAT \"flat\" 1", 0),
        (
            "RW 0 FLAT \"flat\" 0\nRW 0 ZERO\nRW 1 FLAT \"flat\" 0\nRW 0 FLAT \"flat\" 1",
            512,
        ),
    ] {
        fs::write(&vmdk, descriptor(extents, 1, None)).unwrap();
        let disk = Disk::open_path(&vmdk, &Opening::default()).unwrap();
        assert_eq!((disk.size(), disk.data_length().unwrap()), (size, size));
        let mut bytes = vec![0; usize::try_from(size).unwrap()];
        disk.read_at(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 7));
        disk.read_at(size, &mut []).unwrap();
        assert_eq!(disk.read_at(size, &mut [0]).unwrap_err().kind(), Kind::Truncated);
        assert_eq!(disk.check().unwrap().len(), 0);
    }
}

#[test]
fn compressed_extents_are_taken_alone_only() {
    let folder = tempfile::tempdir().unwrap();
    let vmdk = folder.path().join("a.vmdk");
    fs::write(folder.path().join("packed"), stream(&sample(64 * MIB), 1)).unwrap();
    let alone = "RW 131072 SPARSE \"packed\"";
    fs::write(&vmdk, descriptor(alone, 1, None)).unwrap();
    assert_same(
        &Disk::open_path(&vmdk, &Opening::default()).unwrap(),
        &sample(64 * MIB),
    );
    fs::write(&vmdk, descriptor(&format!("{alone}\nRW 1 ZERO"), 1, None)).unwrap();
    assert_eq!(kind(&vmdk, &Opening::default()), Kind::Unsupported);
    fs::write(&vmdk, descriptor(&format!("{alone}\n{alone}"), 1, None)).unwrap();
    assert_eq!(kind(&vmdk, &Opening::default()), Kind::Overlap);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_descriptor_panics(lines in proptest::collection::vec(
        "(RW|RDONLY|NOACCESS) [0-9]{1,3} (FLAT|SPARSE|ZERO|VMFS)( \"(flat|sparse|a.vmdk|[./a-z]{1,5})\"( [0-9]{1,2})?)?", 1..5,
    )) {
        let folder = tempfile::tempdir().unwrap();
        let vmdk = folder.path().join("a.vmdk");
        fs::write(folder.path().join("flat"), vec![7; 30_000]).unwrap();
        let sparse = sparse_file(&Memory(vec![1; 100 * 512]));
        fs::write(folder.path().join("sparse"), sparse).unwrap();
        fs::write(&vmdk, descriptor(&lines.join("\n"), 1, None)).unwrap();
        if let Ok(disk) = Disk::open_path(&vmdk, &Opening::default()) {
            let mut bytes = vec![0; usize::try_from(disk.size()).unwrap()];
            disk.read_at(0, &mut bytes).unwrap();
            disk.data_length().unwrap();
            disk.check().unwrap();
        }
    }
}
