use std::path::{Path, PathBuf};

use super::*;
use crate::oracle::{MIB, assert_equal, qemu_img_succeeds, raw as write_image, sample};
use crate::source::Composed;

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inside")).unwrap();
        write_image(&sample(20 * MIB), &folder.path().join("inside/base.raw"));
        write_image(&sample(20 * MIB), &folder.path().join("outside.raw"));
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn options(&self) -> Options {
        let folder = Some(self.path("inside"));
        Options {
            folder,
            ..Options::default()
        }
    }

    /// A QCOW2 image that names `backing`, which nobody looks for.
    fn over(&self, name: &str, backing: &str, format: &str) -> Option<PathBuf> {
        let path = self.path(name);
        let create = ["create", "-u", "-f", "qcow2", "-b", backing, "-F", format];
        qemu_img_succeeds(&create, &[&path, Path::new("20M")]).then_some(path)
    }

    fn refused(&self, path: &Path) -> (Kind, String) {
        let error = open(path, &self.options()).err().unwrap();
        (error.kind(), error.to_string())
    }
}

#[test]
fn every_format_is_told_by_its_bytes_and_described() {
    let bench = Bench::new();
    let disk = sample(20 * MIB);
    let (from, to) = (bench.path("inside/base.raw"), bench.path("disk"));
    let variants = [
        (Format::Qcow2, "compat=1.1", "version 3", Some(65_536)),
        (
            Format::Qcow2,
            "compat=0.10,cluster_size=4096",
            "version 2",
            Some(4096),
        ),
        (Format::Vhdx, "subformat=fixed", "fixed", Some(8 * MIB)),
        (
            Format::Vhdx,
            "subformat=dynamic,block_size=1M",
            "dynamic",
            Some(MIB),
        ),
        (
            Format::Vmdk,
            "subformat=streamOptimized",
            "streamOptimized",
            Some(65_536),
        ),
    ];
    for (format, options, variant, cluster) in variants {
        let convert = ["convert", "-f", "raw", "-O", format.as_str(), "-o", options];
        if !qemu_img_succeeds(&convert, &[&from, &to]) {
            return;
        }
        let opened = open(&to, &Options::default()).unwrap();
        assert_equal(&opened, &disk);
        let about = opened.description();
        assert_eq!(
            (about.format, about.variant.as_str(), about.cluster),
            (format, variant, cluster)
        );
        assert_eq!((about.virtual_size, about.chain().count()), (20 * MIB, 1));
        assert!(about.allocated > 0 && about.file_length == std::fs::metadata(&to).unwrap().len());
        assert!(check(&to, &Options::default()).unwrap().is_sound());
    }
}

#[test]
fn raw_is_what_the_name_or_the_caller_says() {
    let bench = Bench::new();
    let open_as = |name: &str, format| {
        let options = Options {
            format,
            ..Options::default()
        };
        open(&bench.path(name), &options)
            .map(|disk| disk.description().format)
            .map_err(|e| e.kind())
    };
    let base = bench.path("inside/base.raw");
    for name in ["a", "a.img", "a.RAW", "a.bin"] {
        std::fs::copy(&base, bench.path(name)).unwrap();
    }
    assert_eq!(open_as("a.img", None), Ok(Format::Raw));
    assert_eq!(open_as("a.RAW", None), Ok(Format::Raw));
    assert_eq!(open_as("a.bin", None), Err(Kind::Invalid));
    assert_eq!(open_as("a", None), Err(Kind::Invalid));
    assert_eq!(open_as("a", Some(Format::Raw)), Ok(Format::Raw));
    assert_eq!(open_as("a", Some(Format::Qcow2)), Err(Kind::Malformed));
    assert_eq!(open_as("none", None), Err(Kind::Io));
    std::fs::write(bench.path("b.raw"), b"QFI\xfb of a guest's making").unwrap();
    assert_eq!(open_as("b.raw", None), Err(Kind::Invalid));
    assert_eq!(open_as("b.raw", Some(Format::Raw)), Ok(Format::Raw));
    let made = std::process::Command::new("mkfifo")
        .arg(bench.path("pipe.img"))
        .status();
    assert!(made.unwrap().success());
    assert_eq!(open_as("pipe.img", None), Err(Kind::Invalid));
    std::fs::write(bench.path("empty.img"), b"").unwrap();
    assert_eq!(open_as("empty.img", None), Ok(Format::Raw));
    let small = Options {
        capacity_limit: MIB,
        ..Options::default()
    };
    assert_eq!(open(&base, &small).err().unwrap().kind(), Kind::Ceiling);
}

#[test]
fn a_chain_inside_the_folder_is_followed_and_described() {
    let bench = Bench::new();
    let Some(_) = bench.over("inside/middle.qcow2", "base.raw", "raw") else {
        return;
    };
    let top = bench.over("top.qcow2", "inside/middle.qcow2", "qcow2").unwrap();
    let disk = open(&top, &bench.options()).unwrap();
    assert_equal(&disk, &sample(20 * MIB));
    let chain: Vec<Format> = disk.description().chain().map(|image| image.format).collect();
    assert_eq!(chain, [Format::Qcow2, Format::Qcow2, Format::Raw]);
    let error = open(&top, &Options::default()).err().unwrap();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("inside/middle.qcow2"), "{error}");
    let shallow = Options {
        depth: 1,
        ..bench.options()
    };
    assert_eq!(open(&top, &shallow).err().unwrap().kind(), Kind::Ceiling);
    let absolute = bench.path("inside/base.raw").display().to_string();
    let top = bench.over("absolute.qcow2", &absolute, "raw").unwrap();
    assert_equal(&open(&top, &bench.options()).unwrap(), &sample(20 * MIB));
}

#[test]
fn nothing_outside_the_folder_is_opened() {
    let bench = Bench::new();
    std::os::unix::fs::symlink("../outside.raw", bench.path("inside/link.raw")).unwrap();
    std::os::unix::fs::symlink("..", bench.path("inside/up")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(bench.path("inside/pipe"))
        .status();
    assert!(made.unwrap().success());
    let outside = bench.path("outside.raw").display().to_string();
    for name in [
        "../outside.raw",
        "link.raw",
        "up/outside.raw",
        "../inside/../outside.raw",
        "/etc/passwd",
        &outside,
        "nbd:localhost:1",
        "nbd://localhost/x",
        "pipe",
        "../inside",
        ".",
    ] {
        let Some(path) = bench.over("inside/top.qcow2", name, "raw") else {
            return;
        };
        let (kind, reason) = bench.refused(&path);
        assert!(matches!(kind, Kind::Unsupported | Kind::Io), "{name}: {reason}");
        assert!(
            !reason.contains("outside the folder") || kind == Kind::Unsupported,
            "{name}: {reason}"
        );
    }
    let path = bench.over("inside/top.qcow2", "missing.raw", "raw").unwrap();
    assert_eq!(bench.refused(&path).0, Kind::Io);
    let data = format!("data_file={outside}");
    let create = ["create", "-f", "qcow2", "-o", &data];
    qemu_img_succeeds(&create, &[&path, Path::new("1M")]);
    assert_eq!(bench.refused(&path).0, Kind::Unsupported);
}

#[test]
fn rings_and_images_that_name_no_format_are_refused() {
    let bench = Bench::new();
    let Some(first) = bench.over("inside/a.qcow2", "b.qcow2", "qcow2") else {
        return;
    };
    bench.over("inside/b.qcow2", "a.qcow2", "qcow2");
    assert_eq!(bench.refused(&first).0, Kind::Overlap);
    let alone = bench.over("inside/a.qcow2", "a.qcow2", "qcow2").unwrap();
    assert_eq!(bench.refused(&alone).0, Kind::Overlap);
    let unknown = bench.over("inside/a.qcow2", "base.raw", "raw").unwrap();
    // The extension with the format's name becomes one of no meaning.
    let mut bytes = std::fs::read(&unknown).unwrap();
    let extension = bytes
        .windows(4)
        .position(|at| at == [0xe2, 0x79, 0x2a, 0xca])
        .unwrap();
    bytes[extension] = 0;
    std::fs::write(&unknown, bytes).unwrap();
    assert_eq!(bench.refused(&unknown).0, Kind::Unsupported);
    let probing = Options {
        probe_backing: true,
        ..bench.options()
    };
    assert_equal(&open(&unknown, &probing).unwrap(), &sample(20 * MIB));
}

#[test]
fn a_guest_that_forges_a_header_in_its_raw_disk_gains_nothing() {
    let bench = Bench::new();
    let Some(forged) = bench.over("inside/forged.raw", "base.raw", "raw") else {
        return;
    };
    let top = bench.over("inside/top.qcow2", "forged.raw", "raw").unwrap();
    let disk = open(&top, &bench.options()).unwrap();
    let mut head = [0; 4];
    disk.read_at(0, &mut head).unwrap();
    assert_eq!(&head, b"QFI\xfb");
    assert_eq!(disk.description().chain().count(), 2);
    assert!(std::fs::metadata(forged).unwrap().len() < MIB);
    assert_eq!(Composed::new(20 * MIB).size(), disk.size());
}
