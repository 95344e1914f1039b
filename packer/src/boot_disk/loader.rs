use std::path::Path;
use std::process::Command;

use image::grub;

use crate::debian::{Cache, Lock, Unpacked};
use crate::error::{Error, Result};
use crate::input::read_bounded;
use crate::state_disk::library_path;
use crate::unfinished::Unfinished;

/// GRUB for both firmwares, made by the locked `grub-mkimage`.
#[derive(Debug)]
pub struct Loader {
    /// The first sector's code, for BIOS.
    pub boot_img: Vec<u8>,
    /// The core image, for BIOS.
    pub core_img: Vec<u8>,
    /// The program for UEFI.
    pub efi: Vec<u8>,
}

const MAX_LOADER_BYTES: u64 = 4 << 20;

impl Loader {
    /// Makes the loader with the configuration that `image::grub` gives.
    ///
    /// # Errors
    /// The packages can't be had, or grub-mkimage fails.
    pub fn make(lock: &Lock, cache: &Cache) -> Result<Self> {
        let package = |name: &str| cache.unpacked(lock.get(name)?);
        let (bios, efi) = (package("grub-pc-bin")?, package("grub-efi-amd64-bin")?);
        let tools = package("grub-common")?;
        let libraries = [package("libdevmapper1.02.1")?, package("liblzma5")?];
        let folder = Unfinished::folder()?;
        write(folder.path(), "early.cfg", grub::EARLY_CONFIG.as_bytes())?;
        write(folder.path(), "memdisk", &grub::memdisk()?)?;
        let make = |format: &str, modules: &[&str], package: &Unpacked| {
            let modules_folder = package.path("usr/lib/grub").join(format);
            mkimage(
                &tools,
                &libraries,
                folder.path(),
                format,
                &modules_folder,
                modules,
            )
        };
        let core_img = make("i386-pc", &grub::BIOS_MODULES, &bios)?;
        let efi = make("x86_64-efi", &grub::EFI_MODULES, &efi)?;
        let boot_img = read_bounded(&bios.path("usr/lib/grub/i386-pc/boot.img"), MAX_LOADER_BYTES)?;
        Ok(Self {
            boot_img,
            core_img,
            efi,
        })
    }
}

fn mkimage(
    tools: &Unpacked,
    libraries: &[Unpacked],
    folder: &Path,
    format: &str,
    modules_folder: &Path,
    modules: &[&str],
) -> Result<Vec<u8>> {
    let image = folder.join(format);
    let output = Command::new(tools.path("usr/bin/grub-mkimage"))
        // -m sets a prefix of its own, so -p comes after it.
        .args([
            "-O",
            format,
            "-m",
            "memdisk",
            "-p",
            grub::PREFIX,
            "-c",
            "early.cfg",
            "-o",
        ])
        .arg(&image)
        .arg("-d")
        .arg(modules_folder)
        .args(modules)
        .current_dir(folder)
        .env("LD_LIBRARY_PATH", library_path(libraries))
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| Error::program("grub-mkimage", error))?;
    if !output.status.success() {
        return Err(Error::program(
            "grub-mkimage",
            String::from_utf8_lossy(&output.stderr).trim(),
        ));
    }
    read_bounded(&image, MAX_LOADER_BYTES)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).map_err(Error::io(&path, "write"))
}
