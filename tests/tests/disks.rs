//! Disks of every format that QEMU makes become every format that we write, and QEMU finds the same bytes in them.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::{artefacts, counterpart, measure};
use serde_json::Value;

/// What `qemu-img` makes: a name, its format, and options.
const SOURCES: [(&str, &str, &[&str]); 12] = [
    ("raw", "raw", &[]),
    ("stream", "vmdk", &["-o", "subformat=streamOptimized"]),
    ("sparse", "vmdk", &["-o", "subformat=monolithicSparse"]),
    ("flat", "vmdk", &["-o", "subformat=monolithicFlat"]),
    ("split", "vmdk", &["-o", "subformat=twoGbMaxExtentSparse"]),
    ("split-flat", "vmdk", &["-o", "subformat=twoGbMaxExtentFlat"]),
    ("qcow2", "qcow2", &[]),
    ("qcow2-v2", "qcow2", &["-o", "compat=0.10"]),
    ("qcow2-zstd", "qcow2", &["-c", "-o", "compression_type=zstd"]),
    ("vhd", "vpc", &["-o", "force_size=on"]),
    ("vhd-fixed", "vpc", &["-o", "subformat=fixed,force_size=on"]),
    ("vhdx", "vhdx", &[]),
];

/// What `ova disk convert` writes: our name, QEMU's, and whether QEMU can check its structure.
const TARGETS: [(&str, &str, bool); 7] = [
    ("raw", "raw", false),
    ("vmdk", "vmdk", true),
    ("vmdk-sparse", "vmdk", true),
    ("qcow2", "qcow2", true),
    ("qcow2-compressed", "qcow2", true),
    ("vhd", "vpc", false),
    ("vhd-fixed", "vpc", false),
];

const SIZE: u64 = 96 << 20;

/// A disk with data at its beginning and its end, a hole, zeros that are stored, and text.
fn sample(path: &Path) {
    let file = File::create(path).unwrap();
    file.set_len(SIZE).unwrap();
    let mut noise = 1_u64;
    let bytes: Vec<u8> = (0..3 << 20)
        .map(|_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.to_be_bytes()[0]
        })
        .collect();
    file.write_all_at(&bytes, 0).unwrap();
    file.write_all_at(&vec![0; 1 << 20], 20 << 20).unwrap();
    file.write_all_at(&b"a line of text\n".repeat(200_000), 40 << 20)
        .unwrap();
    file.write_all_at(b"the last bytes", SIZE - 14).unwrap();
}

fn qemu_img(arguments: &[&str]) -> Command {
    let mut command = Command::new("qemu-img");
    command.args(arguments);
    command
}

fn sources(folder: &Path, raw: &Path) -> Vec<PathBuf> {
    let make = |(name, format, options): &(&str, &str, &[&str])| {
        let extension = if *format == "raw" { "raw" } else { "img" };
        let path = folder.join(format!("{name}.{extension}"));
        let mut command = qemu_img(&["convert", "-f", "raw", "-O", format]);
        artefacts::success(command.args(*options).arg(raw).arg(&path));
        path
    };
    SOURCES.iter().map(make).collect()
}

/// What `ova disk convert` makes of a raw image.
fn ours(folder: &Path, raw: &Path) -> Vec<PathBuf> {
    let make = |(target, _, _): &(&str, &str, bool)| {
        let extension = if *target == "raw" { "raw" } else { "img" };
        let path = folder.join(format!("ours-{target}.{extension}"));
        let mut convert = artefacts::ova();
        convert
            .args(["disk", "convert", "--to", target])
            .args([raw, &path]);
        artefacts::success(&mut convert);
        path
    };
    TARGETS.iter().map(make).collect()
}

#[test]
fn every_readable_format_becomes_every_writable_one_with_the_same_bytes() {
    if counterpart::find("qemu-img").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("sample.raw");
    sample(&raw);
    let raw_path = raw.to_str().unwrap();
    let made = [sources(folder.path(), &raw), ours(folder.path(), &raw)];
    for source in made.into_iter().flatten() {
        for (target, format, can_check) in TARGETS {
            let output = folder.path().join("output");
            let mut convert = artefacts::ova();
            convert
                .args(["disk", "convert", "--replace", "--to", target])
                .arg(&source)
                .arg(&output);
            artefacts::success(&mut convert);
            let output = output.to_str().unwrap();
            artefacts::success(&mut qemu_img(&[
                "compare", "-f", "raw", "-F", format, raw_path, output,
            ]));
            if can_check {
                artefacts::success(&mut qemu_img(&["check", "-q", "-f", format, output]));
            }
        }
        let mut check = artefacts::ova();
        artefacts::success(check.args(["disk", "check"]).arg(&source));
        let mut compare = artefacts::ova();
        artefacts::success(compare.args(["disk", "compare"]).arg(&source).arg(&raw));
    }
}

#[test]
fn an_image_is_told_with_its_sizes_and_what_lies_beneath_it_only_where_that_may_be_opened() {
    if counterpart::find("qemu-img").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    sample(Path::new(&path("base.raw")));
    let backing = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.raw"];
    artefacts::success(qemu_img(&backing).arg(path("over.qcow2")));
    artefacts::exits(artefacts::ova().args(["disk", "info", &path("over.qcow2")]), 2);
    let allowed = [
        "--json",
        "disk",
        "info",
        &path("over.qcow2"),
        "--backing",
        &path(""),
    ];
    let said = artefacts::success(artefacts::ova().args(allowed));
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["format"], "qcow2");
    assert_eq!(said["virtual_size"], SIZE);
    assert_eq!(said["backing"]["format"], "raw");
    let different = ["disk", "compare", &path("base.raw"), &path("empty.raw")];
    File::create(path("empty.raw")).unwrap().set_len(SIZE).unwrap();
    let said = artefacts::output(artefacts::ova().args(different));
    assert_eq!(said.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&said.stdout).contains("byte 0 "),
        "{said:?}"
    );
}

#[test]
fn disks_of_nothing_of_odd_sizes_and_of_8_tib_are_converted() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let convert = |from: &str, to: &str, target: &str| {
        let (from, to) = (path(from), path(to));
        artefacts::success(artefacts::ova().args(["disk", "convert", &from, &to, "--to", target]));
    };
    let compare = |one: &str, other: &str| {
        artefacts::success(artefacts::ova().args(["disk", "compare", &path(one), &path(other)]));
    };
    let disk = |name: &str, size: u64, at: Option<u64>| {
        let file = File::create(path(name)).unwrap();
        file.set_len(size).unwrap();
        if let Some(at) = at {
            file.write_all_at(b"data", at).unwrap();
        }
    };
    disk("nothing.raw", 0, None);
    convert("nothing.raw", "nothing.qcow2", "qcow2");
    convert("nothing.qcow2", "again.raw", "raw");
    assert_eq!(std::fs::metadata(path("again.raw")).unwrap().len(), 0);
    // Neither format knows such a disk: QEMU makes VMDKs of it that it can't open.
    for target in ["vmdk", "vmdk-sparse", "vhd", "vhd-fixed"] {
        let refused = [
            "disk",
            "convert",
            &path("nothing.raw"),
            &path("no"),
            "--to",
            target,
        ];
        assert!(artefacts::exits(artefacts::ova().args(refused), 2).contains("more than nothing"));
    }
    disk("odd.raw", 3_000_001, Some(2_999_997));
    disk("huge.raw", 8 << 40, Some((8 << 40) - 100_000));
    for (target, _, _) in TARGETS {
        let (odd, huge) = (format!("odd-{target}.img"), format!("huge-{target}.img"));
        convert("odd.raw", &odd, target);
        compare("odd.raw", &odd);
        if target.starts_with("vhd") {
            let refused = ["disk", "convert", &path("huge.raw"), &path("no"), "--to", target];
            assert!(artefacts::exits(artefacts::ova().args(refused), 2).contains("2040 GiB"));
            continue;
        }
        convert("huge.raw", &huge, target);
        compare("huge.raw", &huge);
        artefacts::success(artefacts::ova().args(["disk", "check", &path(&huge)]));
    }
}

#[test]
fn damaged_images_are_read_or_refused_within_the_memory_that_all_disks_have() {
    const MEMORY: u64 = 64 << 20;
    if counterpart::find("qemu-img").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("sample.raw");
    sample(&raw);
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    for source in sources(folder.path(), &raw) {
        let whole = std::fs::read(&source).unwrap();
        for round in 0..8 {
            let damaged = folder.path().join("damaged.img");
            let mut bytes = whole.clone();
            // Structures are at the head, or at the end.
            for _ in 0..1 + random(3) {
                let near = random(bytes.len().min(200_000));
                let at = if random(4) == 0 {
                    bytes.len() - 1 - near
                } else {
                    near
                };
                bytes[at] = random(256).to_le_bytes()[0];
            }
            if round % 4 == 0 {
                bytes.truncate(random(whole.len()));
            }
            std::fs::write(&damaged, &bytes).unwrap();
            for action in ["info", "check", "map", "convert"] {
                let mut command = artefacts::ova();
                command.args(["disk", action]).arg(&damaged);
                if action == "convert" {
                    command
                        .arg(folder.path().join("out"))
                        .args(["--to", "qcow2", "--replace"]);
                }
                let (status, peak) = measure::peak_memory(&mut command);
                let code = status.code();
                assert!(
                    matches!(code, Some(0..=2)),
                    "{source:?} {action} {round}: {status}"
                );
                assert!(peak < MEMORY, "{source:?} {action} {round}: {peak} bytes");
            }
        }
    }
}

#[test]
fn a_conversion_that_fails_leaves_nothing_and_an_output_that_is_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("broken.qcow2"), b"QFI\xfb and nothing else").unwrap();
    artefacts::exits(
        artefacts::ova().args(["disk", "convert", &path("broken.qcow2"), &path("out.raw")]),
        2,
    );
    assert!(!Path::new(&path("out.raw")).exists());
    std::fs::write(path("kept.raw"), b"kept").unwrap();
    sample(Path::new(&path("sample.raw")));
    artefacts::exits(
        artefacts::ova().args(["disk", "convert", &path("sample.raw"), &path("kept.raw")]),
        2,
    );
    assert_eq!(std::fs::read(path("kept.raw")).unwrap(), b"kept");
}
