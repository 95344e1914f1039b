//! GRUB's image for UEFI, made to fit small machines.
//!
//! GRUB 2.06 takes a quarter of all memory for itself, up to 1600 MiB, and its `linux` command sets the kernel's space aside twice
//! (it loses the first when firmware holds the kernel's preferred address, as OVMF does). Debian's kernel asks for 64 MiB,
//! so a guest of 256 MiB has none left. The loader itself needs less than 1 MiB: with its share limited to 16 MiB, 240 MiB
//! are enough.
//!
//! The limit is `MAX_HEAP_SIZE` of `grub-core/kern/efi/mm.c`. It is a constant in the code, changed here in the finished
//! image. To make the same change in the source, define it as `(16 * 0x100000)`.

use crate::error::{Error, Kind, Place, Result};

/// `mov $0x64000,%eax; shr $2,%rbx`: the limit in pages of 4 KiB, then the division of all pages by four.
const LIMIT_1600_MIB: [u8; 9] = [0xb8, 0x00, 0x40, 0x06, 0x00, 0x48, 0xc1, 0xeb, 0x02];
/// The same with 0x1000 pages.
const LIMIT_16_MIB: [u8; 9] = [0xb8, 0x00, 0x10, 0x00, 0x00, 0x48, 0xc1, 0xeb, 0x02];

/// The image (`BOOTX64.EFI`, from `grub-mkimage`) with its heap limited to 16 MiB.
///
/// # Errors
/// [`Kind::Malformed`] for what is no PE image; [`Kind::Unsupported`] where the limit is not found exactly once, as in
/// another release than Debian 12's 2.06.
pub fn limit_heap(mut image: Vec<u8>) -> Result<Vec<u8>> {
    let place = || Place::File("BOOTX64.EFI".into());
    if !image.starts_with(b"MZ") {
        return Err(Error::malformed(place(), "is no PE image"));
    }
    let mut found = image
        .windows(LIMIT_1600_MIB.len())
        .enumerate()
        .filter(|(_, code)| *code == LIMIT_1600_MIB);
    let (first, second) = (found.next().map(|(at, _)| at), found.next());
    let (Some(at), None) = (first, second) else {
        let reason = "GRUB's heap limit is not where Debian 12's GRUB 2.06 has it";
        return Err(Error::new(Kind::Unsupported, place(), reason));
    };
    image[at..at + LIMIT_16_MIB.len()].copy_from_slice(&LIMIT_16_MIB);
    Ok(image)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What passes for a loader of `length` bytes.
    pub(crate) fn loader(length: usize) -> Vec<u8> {
        let mut image = [b"MZ".as_slice(), &LIMIT_1600_MIB].concat();
        image.resize(length, 7);
        image
    }

    #[test]
    fn the_limit_is_changed_and_nothing_else() {
        let limited = limit_heap(loader(100)).unwrap();
        let changed: Vec<usize> = (0..100).filter(|&at| limited[at] != loader(100)[at]).collect();
        assert_eq!(changed, [4, 5]);
    }

    #[test]
    fn an_image_without_or_with_two_such_places_is_refused() {
        let twice = [loader(50), loader(50)].concat();
        for (image, kind) in [
            (b"MZ nothing".to_vec(), Kind::Unsupported),
            (twice, Kind::Unsupported),
            (b"\x7fELF".to_vec(), Kind::Malformed),
        ] {
            assert_eq!(limit_heap(image).unwrap_err().kind(), kind);
        }
    }
}
