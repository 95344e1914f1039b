//! Where GRUB's two BIOS parts find each other on a disk without an installer.
//!
//! Offsets after GRUB's `include/grub/i386/pc/boot.h` and `grub-core/boot/i386/pc/diskboot.S`.

use crate::error::{Error, Kind, Place, Result};
use crate::field::put;
use crate::gpt::BOOT_CODE_LENGTH;

const SECTOR_LENGTH: usize = 512;
/// In `boot.img`: the sector where the core image begins, 64 bits.
const CORE_SECTOR_AT: usize = 0x5c;
/// In `boot.img`: a jump over the check that mends the drive number of broken BIOSes. Installers for hard disks undo it.
const DRIVE_CHECK_AT: usize = 0x66;
/// In the core image's first sector: where its second sector lies, 64 bits.
const REST_SECTOR_AT: usize = 0x1f4;
const NO_OPERATION: [u8; 2] = [0x90, 0x90];

/// The disk's boot code, from GRUB's `boot.img`: it loads the core image from `core_sector`.
///
/// # Errors
/// [`Kind::Malformed`] if `boot_img` is not 512 bytes with a boot signature.
pub fn boot_code(boot_img: &[u8], core_sector: u64) -> Result<[u8; BOOT_CODE_LENGTH]> {
    if boot_img.len() != SECTOR_LENGTH || !boot_img.ends_with(&[0x55, 0xaa]) {
        return Err(Error::malformed(
            Place::File("boot.img".into()),
            "is no GRUB boot sector",
        ));
    }
    let mut code = [0; BOOT_CODE_LENGTH];
    code.copy_from_slice(&boot_img[..BOOT_CODE_LENGTH]);
    put(&mut code, CORE_SECTOR_AT, &core_sector.to_le_bytes());
    put(&mut code, DRIVE_CHECK_AT, &NO_OPERATION);
    Ok(code)
}

/// The core image as it goes to `core_sector`: it finds its own second sector.
///
/// # Errors
/// [`Kind::Malformed`] if `core_img` is too short to be one.
pub fn core_image(core_img: &[u8], core_sector: u64) -> Result<Vec<u8>> {
    if core_img.len() <= SECTOR_LENGTH {
        let place = Place::File("core.img".into());
        return Err(Error::new(Kind::Malformed, place, "is no GRUB core image"));
    }
    let mut core = core_img.to_vec();
    put(&mut core, REST_SECTOR_AT, &(core_sector + 1).to_le_bytes());
    Ok(core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_point_at_what_follows() {
        let mut boot = vec![7; 512];
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        let code = boot_code(&boot, 2048).unwrap();
        assert_eq!(code[0x5b..0x69], [7, 0, 8, 0, 0, 0, 0, 0, 0, 7, 7, 0x90, 0x90, 7]);
        let core = core_image(&[1; 1024], 2048).unwrap();
        assert_eq!(core[0x1f3..0x1fd], [1, 1, 8, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn other_files_are_refused_by_name() {
        let boot = boot_code(&[0; 512], 1).unwrap_err();
        assert_eq!(boot.place(), &Place::File("boot.img".into()));
        assert_eq!(
            core_image(&[0; 512], 1).unwrap_err().place(),
            &Place::File("core.img".into())
        );
    }
}
