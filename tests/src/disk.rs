//! Disks of packages and of kept guests as raw images, by qemu-img, and the partitions in them.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artefacts;

const SECTOR: u64 = 512;

/// A disk of a package, as the VMDK that it carries.
pub fn vmdk(package: &Path, id: &str, folder: &Path) -> PathBuf {
    let listing = artefacts::success(Command::new("tar").arg("-tf").arg(package));
    let suffix = format!("-{id}.vmdk");
    let member = listing
        .lines()
        .find(|name| name.ends_with(&suffix))
        .unwrap_or_else(|| panic!("no {suffix}: {listing}"));
    artefacts::success(
        Command::new("tar")
            .arg("-xf")
            .arg(package)
            .arg("-C")
            .arg(folder)
            .arg(member),
    );
    folder.join(member)
}

/// A disk of a package, as a raw image.
pub fn of_package(package: &Path, id: &str, folder: &Path) -> PathBuf {
    convert(
        &vmdk(package, id, folder),
        "vmdk",
        &folder.join(format!("{id}.raw")),
        "raw",
    )
}

/// What a guest left in a kept layer, as a raw image.
pub fn of_layer(disks: &Path, id: &str, folder: &Path) -> PathBuf {
    convert(
        &disks.join(format!("{id}.qcow2")),
        "qcow2",
        &folder.join(format!("{id}.raw")),
        "raw",
    )
}

/// Puts a raw image where `ova run --state` looks for the disk.
pub fn into_layer(raw: &Path, disks: &Path, id: &str) {
    std::fs::create_dir_all(disks).unwrap();
    convert(raw, "raw", &disks.join(format!("{id}.qcow2")), "qcow2");
}

fn convert(from: &Path, from_format: &str, to: &Path, to_format: &str) -> PathBuf {
    let mut command = Command::new("qemu-img");
    command
        .args(["convert", "-f", from_format, "-O", to_format])
        .arg(from)
        .arg(to);
    artefacts::success(&mut command);
    to.to_owned()
}

/// Where a GPT partition lies, in bytes, by its name.
pub fn partition(raw: &Path, name: &str) -> Range<u64> {
    let header = read(raw, SECTOR..SECTOR + 92);
    assert_eq!(&header[..8], b"EFI PART");
    let (count, size) = (number(&header[80..84]), number(&header[84..88]));
    let table = number(&header[72..80]) * SECTOR;
    let entries = (0..count).map(|index| read(raw, table + index * size..table + index * size + size));
    let utf16: Vec<u8> = name
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .chain([0, 0])
        .collect();
    let entry = entries.into_iter().find(|entry| entry[56..].starts_with(&utf16));
    let entry = entry.unwrap_or_else(|| panic!("no partition {name}"));
    number(&entry[32..40]) * SECTOR..(number(&entry[40..48]) + 1) * SECTOR
}

fn number(little_endian: &[u8]) -> u64 {
    little_endian
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Bytes of a raw image.
pub fn read(raw: &Path, range: Range<u64>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
    File::open(raw)
        .unwrap()
        .read_exact_at(&mut bytes, range.start)
        .unwrap();
    bytes
}

/// Overwrites bytes of a raw image.
pub fn write(raw: &Path, offset: u64, bytes: &[u8]) {
    File::options()
        .write(true)
        .open(raw)
        .unwrap()
        .write_all_at(bytes, offset)
        .unwrap();
}
