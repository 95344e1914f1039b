//! GRUB 2 as the boot disk's loader, on BIOS and UEFI alike.
//!
//! `grub-mkimage` makes one file for each firmware, run by whoever builds the disk; this module gives what goes into
//! them, so that both do the same:
//!
//! ```text
//! grub-mkimage -O i386-pc    -m MEMDISK -p PREFIX -c EARLY_CONFIG -o core.img    BIOS_MODULES...
//! grub-mkimage -O x86_64-efi -m MEMDISK -p PREFIX -c EARLY_CONFIG -o BOOTX64.EFI EFI_MODULES...
//! ```
//!
//! `-m` sets a prefix of its own, so `-p` has to come after it. `EARLY_CONFIG` is read by GRUB's rescue parser, which
//! knows neither `if` nor functions; all it does is to run the real configuration in normal mode, from the memory disk. So
//! neither firmware's loader needs a file from the disk before it boots a slot.
//!
//! The configuration reads the [`Environment`] of the boot-env partition, clears `try` *before* it boots the slot to
//! be tried (where that cannot be written, the slot is not tried), and goes on to the other slot where a kernel or
//! initramfs cannot be loaded. Where none can, it says so and restarts after a minute. There is no menu and no shell.

mod bios;
mod efi;
mod environment;

pub use bios::{boot_code, core_image};
pub use efi::limit_heap;
pub use environment::{Environment, LENGTH as ENVIRONMENT_LENGTH};

use crate::cpio::Archive;
use crate::error::Result;

/// The prefix for both files: with no disk named, GRUB puts the one that it was started from, and `root` follows.
pub const PREFIX: &str = "(,gpt2)/";

/// The configuration for both files' `-c`.
pub const EARLY_CONFIG: &str = "set prefix=(memdisk)/\nnormal (memdisk)/grub.cfg\n";

/// The loader's configuration, kept on the memory disk as `/grub.cfg`.
pub const CONFIG: &str = include_str!("grub/grub.cfg");

/// Modules for `i386-pc`; `grub-mkimage` adds what they depend on.
pub const BIOS_MODULES: [&str; 16] = [
    "biosdisk",
    "part_gpt",
    "iso9660",
    "memdisk",
    "newc",
    "normal",
    "configfile",
    "linux",
    "loadenv",
    "regexp",
    "test",
    "echo",
    "serial",
    "terminal",
    "sleep",
    "reboot",
];

/// Modules for `x86_64-efi`; disks are the firmware's. `efi_gop` and `efi_uga` tell the kernel of its screen.
pub const EFI_MODULES: [&str; 17] = [
    "part_gpt",
    "iso9660",
    "memdisk",
    "newc",
    "normal",
    "configfile",
    "linux",
    "loadenv",
    "regexp",
    "test",
    "echo",
    "serial",
    "terminal",
    "sleep",
    "reboot",
    "efi_gop",
    "efi_uga",
];

/// The memory disk for both files' `-m`: a cpio archive with the configuration.
///
/// # Errors
/// None with the present configuration.
pub fn memdisk() -> Result<Vec<u8>> {
    let mut archive = Archive::new(0);
    archive.file("grub.cfg", 0o444, CONFIG.into())?;
    Ok(archive.render())
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::efi::tests::loader;
}
