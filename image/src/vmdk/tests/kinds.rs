//! Every kind of VMDK that `qemu-img` writes, read by us; every kind that we write, read by `qemu-img`.

use super::*;

fn convert(subformat: &str, raw: &Path, vmdk: &Path) -> bool {
    let option = format!("subformat={subformat}");
    let arguments = ["convert", "-f", "raw", "-O", "vmdk", "-o", &option];
    let Some(done) = qemu_img(&arguments, &[raw, vmdk]) else {
        return false;
    };
    assert!(done.status.success(), "{done:?}");
    true
}

/// Deltas over parents in this folder are opened.
fn beside(folder: &Path) -> Opening {
    Opening {
        parents: Some(folder.to_owned()),
        ..Opening::default()
    }
}

#[test]
fn every_kind_by_qemu_img_reads_as_the_raw_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, vmdk) = (folder.path().join("a.raw"), folder.path().join("a.vmdk"));
    for size in [64 * MIB, 40 * MIB + 512 * 3] {
        let disk = sample(size);
        write_raw(&disk, &std::fs::File::create(&raw).unwrap()).unwrap();
        for kind in [
            "monolithicSparse",
            "monolithicFlat",
            "twoGbMaxExtentSparse",
            "twoGbMaxExtentFlat",
            "streamOptimized",
        ] {
            if !convert(kind, &raw, &vmdk) {
                return;
            }
            let theirs =
                Disk::open_path(&vmdk, &Opening::default()).unwrap_or_else(|e| panic!("{kind}: {e}"));
            assert_eq!(theirs.descriptor().create_type, kind);
            assert_same(&theirs, &disk);
            assert_eq!(theirs.check().unwrap().len(), 0, "{kind}: {:?}", theirs.check());
        }
    }
}

#[test]
fn a_disk_of_several_extents_is_read_across_their_boundaries() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, vmdk) = (folder.path().join("a.raw"), folder.path().join("a.vmdk"));
    let mut disk = Composed::new((4 << 30) + 3 * MIB);
    disk.put((2 << 30) - 5000, vec![1; 10_000]).unwrap();
    disk.put((4 << 30) + 2 * MIB, vec![2; 100]).unwrap();
    write_raw(&disk, &std::fs::File::create(&raw).unwrap()).unwrap();
    for kind in ["twoGbMaxExtentSparse", "twoGbMaxExtentFlat"] {
        if !convert(kind, &raw, &vmdk) {
            return;
        }
        let theirs = Disk::open_path(&vmdk, &Opening::default()).unwrap();
        assert!(theirs.descriptor().extents.len() > 2);
        let (mut found, mut expected) = (vec![9; 20_000], vec![8; 20_000]);
        theirs.read_at((2 << 30) - 10_000, &mut found).unwrap();
        disk.read_at((2 << 30) - 10_000, &mut expected).unwrap();
        assert!(found == expected, "{kind}");
        let copy = stream(&theirs, 2);
        Stream::open(&copy[..], CAPACITY_LIMIT)
            .unwrap()
            .compare(&disk)
            .unwrap();
    }
}

#[test]
fn a_delta_by_qemu_img_reads_as_its_parent_with_the_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let disk = sample(64 * MIB);
    write_raw(&disk, &std::fs::File::create(path("a.raw")).unwrap()).unwrap();
    if !convert("monolithicSparse", &path("a.raw"), &path("base.vmdk")) {
        return;
    }
    let create = ["create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", "base.vmdk"];
    let created = qemu_img(&create, &[&path("delta.vmdk")]).unwrap();
    assert!(created.status.success(), "{created:?}");
    let write = [
        "-f",
        "vmdk",
        "-c",
        "write -P 7 33M 64k",
        "-c",
        "write -P 9 50M 1k",
    ];
    let io = Command::new("qemu-io")
        .args(write)
        .arg(path("delta.vmdk"))
        .output();
    let delta = Disk::open_path(&path("delta.vmdk"), &beside(folder.path()));
    if !io.is_ok_and(|io| io.status.success()) {
        eprintln!("skipped in part: no qemu-io");
        assert_same(&delta.unwrap(), &disk);
        return;
    }
    // Writing to the delta has left the parent, and so its CID, alone.
    let mut expected = Composed::new(64 * MIB);
    expected.put(0, b"head".to_vec()).unwrap();
    expected.put(33 * MIB - 2, b"ac".to_vec()).unwrap();
    expected.put(33 * MIB, vec![7; 65_536]).unwrap();
    expected.put(50 * MIB, vec![9; 1024]).unwrap();
    expected.put(64 * MIB - 4, b"tail".to_vec()).unwrap();
    let delta = delta.unwrap();
    assert_same(&delta, &expected);
    assert_eq!(delta.check().unwrap().len(), 0);
    let alone = Disk::open(RawFile::open(&path("delta.vmdk")).unwrap(), CAPACITY_LIMIT);
    assert_eq!(alone.err().unwrap().kind(), Kind::Unsupported);
}

#[test]
fn grains_that_qemu_io_zeroed_read_as_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let disk = sample(64 * MIB);
    write_raw(&disk, &std::fs::File::create(path("a.raw")).unwrap()).unwrap();
    if !convert("monolithicSparse", &path("a.raw"), &path("base.vmdk")) {
        return;
    }
    let create = [
        "create",
        "-q",
        "-f",
        "vmdk",
        "-F",
        "vmdk",
        "-b",
        "base.vmdk",
        "-o",
        "zeroed_grain=on",
    ];
    let created = qemu_img(&create, &[&path("delta.vmdk")]).unwrap();
    assert!(created.status.success(), "{created:?}");
    let zero = ["-f", "vmdk", "-c", "write -z 0 64k"];
    let io = Command::new("qemu-io")
        .args(zero)
        .arg(path("delta.vmdk"))
        .output();
    if !io.is_ok_and(|io| io.status.success()) {
        eprintln!("skipped: no qemu-io");
        return;
    }
    let mut expected = Composed::new(64 * MIB);
    expected.put(33 * MIB - 2, b"across".to_vec()).unwrap();
    expected.put(64 * MIB - 4, b"tail".to_vec()).unwrap();
    let delta = Disk::open_path(&path("delta.vmdk"), &beside(folder.path())).unwrap();
    assert_same(&delta, &expected);
}

#[test]
fn zeroed_grains_hide_what_a_parent_holds() {
    let parent = Disk::open(Memory(sparse_file(&sample(40 * MIB))), CAPACITY_LIMIT).unwrap();
    let mut bytes = sparse_file(&Composed::new(40 * MIB));
    let header = Header::parse(&bytes).unwrap();
    // The first grain reads as zeros; the file says so in both tables.
    for directory in [header.directory, header.redundant_directory] {
        bytes[usize::try_from((directory + 1) * 512).unwrap()] = 1;
    }
    let name = format!(
        "parentCID={:08x}\nparentFileNameHint=\"p\"",
        parent.descriptor().content_id
    );
    let text = String::from_utf8(bytes[512..1536].to_vec()).unwrap();
    let text = text.replace("parentCID=ffffffff", &name);
    bytes[512..1536].copy_from_slice(&text.as_bytes()[..1024]);
    let delta = Disk::embedded(Memory(bytes), CAPACITY_LIMIT)
        .unwrap()
        .over(parent)
        .unwrap();
    let mut expected = Composed::new(40 * MIB);
    expected.put(33 * MIB - 2, b"across".to_vec()).unwrap();
    expected.put(40 * MIB - 4, b"tail".to_vec()).unwrap();
    assert_same(&delta, &expected);
}

#[test]
fn qemu_img_finds_our_sparse_file_sound_and_equal_to_the_raw_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, vmdk) = (folder.path().join("a.raw"), folder.path().join("a.vmdk"));
    for size in [64 * MIB, 40 * MIB + 512 * 3, 5 << 30] {
        let disk = sample(size);
        write_raw(&disk, &std::fs::File::create(&raw).unwrap()).unwrap();
        let file = std::fs::File::create(&vmdk).unwrap();
        let source = RawFile::open(&raw).unwrap();
        write_sparse(&source, &file, &Options::default(), &mut |_| {}).unwrap();
        let Some(check) = qemu_img(&["check", "-f", "vmdk"], &[&vmdk]) else {
            return;
        };
        assert!(check.status.success(), "{check:?}");
        let compare = qemu_img(&["compare", "-f", "raw", "-F", "vmdk"], &[&raw, &vmdk]).unwrap();
        assert!(compare.status.success(), "{size}: {compare:?}");
        let ours = Disk::open_path(&vmdk, &Opening::default()).unwrap();
        assert_eq!(ours.check().unwrap().len(), 0);
    }
}

#[test]
fn a_sparse_disk_of_8_tib_is_written_and_read_without_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let vmdk = folder.path().join("a.vmdk");
    let disk = sample(8 << 40);
    let file = std::fs::File::create(&vmdk).unwrap();
    write_sparse(&disk, &file, &Options::default(), &mut |_| {}).unwrap();
    let ours = Disk::open_path(&vmdk, &Opening::default()).unwrap();
    assert!(ours.data_length().unwrap() <= 4 * 65_536);
    assert_eq!(ours.check().unwrap().len(), 0);
    let mut tail = [0; 4];
    ours.read_at((8 << 40) - 4, &mut tail).unwrap();
    assert_eq!(&tail, b"tail");
    let copy = stream(&ours, 2);
    Stream::open(&copy[..], CAPACITY_LIMIT)
        .unwrap()
        .compare(&disk)
        .unwrap();
}

#[test]
fn disks_of_other_producers_are_read_and_found_sound() {
    let corpus =
        std::env::var_os("OVF_CORPUS").map_or("../../shared/corpus".into(), std::path::PathBuf::from);
    let names = [
        "cot/blank.vmdk",
        "cot/input.vmdk",
        "cot/ubuntu.2.0-disk1.vmdk",
        "dfvfs/ext2.vmdk",
        "ganeti/new_disk.vmdk",
        "ganeti/second_disk.vmdk",
        "open-ovf/py/tests/test_files/Ubuntu-0.vmdk",
    ];
    let mut found = 0;
    for path in names
        .iter()
        .map(|name| corpus.join(name))
        .filter(|path| path.exists())
    {
        let disk = Disk::open_path(&path, &Opening::default()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            disk.check().unwrap().len(),
            0,
            "{}: {:?}",
            path.display(),
            disk.check()
        );
        stream_of(&disk).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        found += 1;
    }
    eprintln!("{found} disks of {} found in {}", names.len(), corpus.display());
}
