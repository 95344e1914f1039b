//! What each target of a disk image does with its bytes; `image`'s tests call these with the seeds.
//!
//! Images are long and mostly zeros, so an input tells what isn't: four bytes of length in sectors, then stretches, each of
//! four bytes for its sector, two for its length in bytes, and its bytes. Numbers are little-endian. Where a format has
//! checksums over its structures they are made right first: behind wrong ones nothing would be found.
//!
//! Each claims more than that nothing panics: stretches of data are in order and inside the disk, what a check calls sound can
//! be read, and what was read survives being written.

use image::compare::first_difference;
use image::error::{Kind, Result};
use image::finding::Findings;
use image::source::{Composed, Memory, Source};
use image::{qcow2, vhd, vhdx, vmdk};

/// The longest image that an input makes, and the largest disk that is read whole, in bytes.
const LENGTH_LIMIT: usize = 16 << 20;
const DISK_LIMIT: u64 = 1 << 30;
const READ_LIMIT: u64 = 16 << 20;
/// Stretches looked at in one disk.
const STRETCH_LIMIT: usize = 1 << 14;

/// The image that an input stands for.
pub fn decode(bytes: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let Some((length, mut rest)) = bytes.split_at_checked(4) else {
        return Vec::new();
    };
    let mut image = vec![0; number(length).saturating_mul(512).min(LENGTH_LIMIT)];
    while let Some((head, after)) = rest.split_at_checked(6) {
        let start = number(&head[..4]).saturating_mul(512);
        let (piece, after) = after.split_at(number(&head[4..]).min(after.len()));
        rest = after;
        if let Some(place) = image.get_mut(start..start + piece.len()) {
            place.copy_from_slice(piece);
        }
    }
    image
}

/// The input that stands for an image.
pub fn encode(image: &[u8]) -> Vec<u8> {
    let number = |number: usize| {
        u32::try_from(number)
            .expect("an image of a seed is short")
            .to_le_bytes()
    };
    let mut bytes = number(image.len().div_ceil(512)).to_vec();
    for (sector, block) in image.chunks(512).enumerate() {
        let used = block
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        if used > 0 {
            bytes.extend(number(sector));
            bytes.extend(&number(used)[..2]);
            bytes.extend(&block[..used]);
        }
    }
    bytes
}

/// A streamOptimized VMDK: the reader that goes front to back, and the one that seeks.
pub fn stream(bytes: &[u8]) {
    let image = decode(bytes);
    let Ok(stream) = vmdk::Stream::open(&image[..], DISK_LIMIT) else {
        return;
    };
    let mut disk = Composed::new(stream.header().capacity_bytes());
    let read = stream.read_to(&mut |grain| disk.put(grain.offset, grain.data.to_vec()));
    if read.is_err() {
        return;
    }
    let sought =
        vmdk::Disk::open(Memory(image), DISK_LIMIT).expect("what is read front to back can be sought in");
    assert!(sought.check().expect("and checked").is_empty());
    let difference = first_difference(&disk, &sought, &mut |_| {});
    assert_eq!(difference.expect("and read"), None);
}

/// A VMDK in one file.
pub fn sparse(bytes: &[u8]) {
    if let Ok(disk) = vmdk::Disk::open(Memory(decode(bytes)), DISK_LIMIT) {
        let sound = disk.check().is_ok_and(|errors| errors.is_empty());
        examine(&disk, sound, true);
    }
}

/// A QCOW2.
pub fn qcow2(bytes: &[u8]) {
    let image = Memory(decode(bytes));
    let sound = qcow2::check(&image, DISK_LIMIT);
    if let Ok(disk) = qcow2::Disk::open(image, DISK_LIMIT, qcow2::Companions::default()) {
        examine(&disk, is_sound(sound), true);
    }
}

/// A VHD.
pub fn vhd(bytes: &[u8]) {
    let mut image = decode(bytes);
    let footer = image.len().saturating_sub(512);
    let sum = |image: &mut [u8], at: usize, length: usize, checksum: usize| {
        if let Some(structure) = image.get_mut(at..at + length) {
            structure[checksum..checksum + 4].fill(0);
            let sum = structure.iter().map(|byte| u32::from(*byte)).sum::<u32>();
            structure[checksum..checksum + 4].copy_from_slice(&(!sum).to_be_bytes());
        }
    };
    sum(&mut image, footer, 512, 64);
    if image.starts_with(b"conectix") {
        sum(&mut image, 0, 512, 64);
        sum(&mut image, 512, 1024, 36);
    }
    if let Ok(disk) = vhd::Disk::open(Memory(image), DISK_LIMIT) {
        let sound = disk.check().is_empty();
        examine(&disk, sound, false);
    }
}

/// A VHDX.
pub fn vhdx(bytes: &[u8]) {
    let mut image = decode(bytes);
    for (at, length) in [(64, 4), (128, 4), (192, 64), (256, 64)] {
        if let Some(structure) = image.get_mut(at << 10..(at + length) << 10) {
            structure[4..8].fill(0);
            let sum = crc32c(structure);
            structure[4..8].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let image = Memory(image);
    let sound = vhdx::check(&image, DISK_LIMIT);
    if let Ok(disk) = vhdx::Disk::open(image, DISK_LIMIT) {
        examine(&disk, is_sound(sound), false);
    }
}

fn is_sound(findings: Result<Findings>) -> bool {
    findings.is_ok_and(|findings| findings.is_sound())
}

/// Reads what a disk says it holds. Data of a sound one may be damaged only where it is `packed`.
fn examine(disk: &dyn Source, sound: bool, packed: bool) {
    let mut copy = Composed::new(disk.size());
    let (mut from, mut read) = (0, 0);
    for _ in 0..STRETCH_LIMIT {
        let data = match disk.next_data(from) {
            Ok(Some(data)) => data,
            Ok(None) => return survives(disk, &copy),
            Err(error) => {
                assert!(!sound, "a sound image: {error}");
                return;
            }
        };
        assert!(
            from <= data.start && data.start < data.end && data.end <= disk.size(),
            "{data:?} from {from}"
        );
        let length = (data.end - data.start).min(READ_LIMIT - read);
        let mut bytes = vec![0; usize::try_from(length).expect("below the limit")];
        if let Err(error) = disk.read_at(data.start, &mut bytes) {
            assert!(
                !sound || (packed && error.kind() == Kind::Malformed),
                "a sound image: {error}"
            );
            return;
        }
        copy.put(data.start, bytes).expect("stretches do not overlap");
        (from, read) = (data.end, read + length);
        if read == READ_LIMIT {
            return;
        }
    }
}

/// A disk that was read whole is the same when it is written and read again.
fn survives(disk: &dyn Source, copy: &Composed) {
    if disk.size() == 0 || disk.size() > READ_LIMIT {
        return;
    }
    let mut bytes = Vec::new();
    vmdk::write(disk, &mut bytes, &vmdk::Options::default(), &mut |_| {}).expect("a disk is written");
    let written = vmdk::Disk::open(Memory(bytes), 2 * READ_LIMIT).expect("what was written is read");
    let difference = first_difference(copy, &written, &mut |_| {});
    assert_eq!(difference.expect("what was written is read"), None);
}

/// Castagnoli's, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0x82f6_3b78
            } else {
                crc >> 1
            }
        })
    })
}
