//! Disk images of other people become a signed package without a recipe, and come out of it again, verified.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::{artefacts, counterpart};
use tempfile::TempDir;

/// A package of one disk that came as QCOW2, and the disk.
struct Packed {
    folder: TempDir,
}

impl Packed {
    fn new() -> Option<Self> {
        counterpart::find("qemu-img")?;
        let packed = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let raw = File::create(packed.path("disk.raw")).unwrap();
        raw.set_len(64 << 20).unwrap();
        raw.write_all_at(&b"bytes of a disk ".repeat(100_000), 7 << 20)
            .unwrap();
        let mut convert = Command::new("qemu-img");
        convert.args(["convert", "-f", "raw", "-O", "qcow2"]);
        artefacts::success(convert.args([packed.path("disk.raw"), packed.path("disk.qcow2")]));
        let (key, cert) = (artefacts::key("key.pem"), artefacts::key("cert.pem"));
        let mut pack = artefacts::ova();
        pack.args([
            "pack",
            &packed.path("disk.qcow2"),
            "-o",
            &packed.path("vm.ova"),
            "--cpus",
            "4",
        ]);
        pack.args([
            "--memory",
            "3GiB",
            "--os",
            "debian",
            "--prop",
            "hostname=one",
            "--sign",
        ])
        .arg(key);
        artefacts::success(pack.arg("--cert").arg(cert));
        Some(packed)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn extract(&self, arguments: &[&str]) -> Command {
        let mut command = artefacts::ova();
        command.arg("extract").arg(self.path("vm.ova")).args(arguments);
        command
    }
}

#[test]
fn a_packed_image_is_a_signed_package_that_every_importer_takes() {
    let Some(packed) = Packed::new() else { return };
    let package = packed.path("vm.ova");
    let mut verify = artefacts::ova();
    artefacts::success(
        verify
            .args(["verify", &package, "--strict", "--trust"])
            .arg(artefacts::key("ca.pem")),
    );
    let profiles = [
        "--profile",
        "esxi",
        "--profile",
        "virtualbox",
        "--profile",
        "libvirt",
        "--fail-on",
        "note",
    ];
    artefacts::success(artefacts::ova().args(["validate", &package]).args(profiles));
    let said = artefacts::success(artefacts::ova().args(["--json", "inspect", &package]));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["systems"][0]["cpus"], &said["systems"][0]["memory_mib"]),
        (&4.into(), &3072.into())
    );
    assert_eq!(said["products"][0]["properties"][0]["default"], "one");
}

#[test]
fn a_disk_comes_out_of_a_package_as_it_went_in_in_every_format_and_from_a_pipe() {
    let Some(packed) = Packed::new() else { return };
    for (format, qemu) in [
        ("raw", "raw"),
        ("vmdk", "vmdk"),
        ("vmdk-sparse", "vmdk"),
        ("qcow2", "qcow2"),
        ("qcow2-compressed", "qcow2"),
        ("vhd", "vpc"),
        ("vhd-fixed", "vpc"),
    ] {
        let output = packed.path(format);
        let trust = artefacts::key("ca.pem");
        let arguments = ["--disk", "1", "--format", format, "-o", &output, "--trust"];
        artefacts::success(packed.extract(&arguments).arg(trust));
        let mut compare = Command::new("qemu-img");
        compare.args([
            "compare",
            "-f",
            "raw",
            "-F",
            qemu,
            &packed.path("disk.raw"),
            &output,
        ]);
        artefacts::success(&mut compare);
    }
    let mut piped = artefacts::ova();
    piped.args([
        "extract",
        "-",
        "--disk",
        "disk1",
        "--format",
        "raw",
        "-o",
        &packed.path("piped"),
    ]);
    artefacts::success(piped.stdin(Stdio::from(File::open(packed.path("vm.ova")).unwrap())));
    artefacts::success(Command::new("cmp").args([packed.path("piped"), packed.path("disk.raw")]));
}

#[test]
fn every_member_comes_out_byte_for_byte() {
    let Some(packed) = Packed::new() else { return };
    artefacts::success(&mut packed.extract(&["-o", &packed.path("members")]));
    std::fs::create_dir(packed.path("tar")).unwrap();
    artefacts::success(Command::new("tar").args(["-xf", &packed.path("vm.ova"), "-C", &packed.path("tar")]));
    artefacts::success(Command::new("diff").args(["-r", &packed.path("members"), &packed.path("tar")]));
}

#[test]
fn a_tampered_package_leaves_nothing_behind() {
    let Some(packed) = Packed::new() else { return };
    let package = File::options()
        .read(true)
        .write(true)
        .open(packed.path("vm.ova"))
        .unwrap();
    let at = package.metadata().unwrap().len() - 20_000;
    let mut byte = [0];
    package.read_exact_at(&mut byte, at).unwrap();
    package.write_all_at(&[byte[0] ^ 1], at).unwrap();
    for arguments in [
        &["-o", &packed.path("members")][..],
        &["--disk", "1", "-o", &packed.path("out")],
        &["--disk", "1", "--format", "raw", "-o", &packed.path("out")],
        &["--disk", "1", "--format", "qcow2", "-o", &packed.path("out")],
    ] {
        artefacts::exits(&mut packed.extract(arguments), 1);
        assert!(
            !Path::new(&packed.path("out")).exists() && !Path::new(&packed.path("members")).exists(),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_package_whose_disk_qemu_made_is_unpacked_too() {
    // One that comes front to back, and one that has to be sought in.
    for subformat in ["subformat=streamOptimized", "subformat=monolithicSparse"] {
        unpacks_what_qemu_made(subformat);
    }
}

fn unpacks_what_qemu_made(subformat: &str) {
    let Some(packed) = Packed::new() else { return };
    artefacts::success(&mut packed.extract(&["-o", &packed.path("folder")]));
    let vmdk = packed.path("folder/vm-disk1.vmdk");
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-f", "raw", "-O", "vmdk", "-o", subformat]);
    artefacts::success(convert.args([packed.path("disk.raw"), vmdk]));
    let descriptor = packed.path("folder/vm.ovf");
    let text = std::fs::read_to_string(&descriptor).unwrap();
    let start = text.find(" ovf:size=\"").unwrap();
    let end = start + 11 + text[start + 11..].find('"').unwrap() + 1;
    std::fs::write(&descriptor, [&text[..start], &text[end..]].concat()).unwrap();
    let mut sign = artefacts::ova();
    sign.args(["sign", &descriptor, "--replace", "--key"])
        .arg(artefacts::key("key.pem"));
    artefacts::success(sign.arg("--cert").arg(artefacts::key("cert.pem")));
    let mut extract = artefacts::ova();
    extract.args([
        "extract",
        &descriptor,
        "--disk",
        "1",
        "--format",
        "raw",
        "-o",
        &packed.path("out.raw"),
    ]);
    artefacts::success(&mut extract);
    artefacts::success(Command::new("cmp").args([packed.path("out.raw"), packed.path("disk.raw")]));
}
