//! The bootable disk: Debian's kernel and loader, our initramfs, laid out by `image::boot`.

mod kernel;
mod loader;

use std::collections::BTreeMap;
use std::path::Path;

use image::boot::{self, COMMAND_LINE, Inputs, SlotContent};
use image::guid::Guid;
use image::initramfs::{self, Contents};
use image::modules;
use image::source::Composed;

use crate::debian::{Cache, Lock};
use crate::error::{Error, Result};
use crate::input::read_bounded;
use crate::recipe::{BootImage, Recipe};

pub use loader::Loader;

/// The program that runs as `/init` is at most this long.
const MAX_INIT_BYTES: u64 = 64 << 20;
/// An extra file is at most this long: it lives in the guest's memory.
const MAX_EXTRA_BYTES: u64 = 64 << 20;
/// A kernel longer than this is none of Debian's.
const MAX_KERNEL_BYTES: u64 = 64 << 20;

/// A boot disk, with what the bill of materials tells of it.
#[derive(Debug)]
pub struct BootDisk {
    /// The disk.
    pub disk: Composed,
    /// Files that aren't Debian's: path in the initramfs, and bytes' SHA-256.
    pub files: BTreeMap<String, String>,
}

/// Makes the disk that a recipe describes.
///
/// # Errors
/// A Debian package can't be had, a wanted module isn't in the kernel package, a file can't be read.
pub fn make(recipe: &Recipe, boot: &BootImage, seed: &Guid, lock: &Lock, cache: &Cache) -> Result<BootDisk> {
    let package = kernel::Kernel::open(boot.kernel.get_ref(), lock, cache)?;
    let names = |wanted: &[toml::Spanned<String>]| -> Result<Vec<modules::Name>> {
        wanted.iter().map(|name| Ok(name.get_ref().parse()?)).collect()
    };
    let selection = modules::select(&package, &names(&boot.modules)?, &names(&boot.always)?)?;
    let init_path = recipe.resolve(boot.init.get_ref());
    let init = read_bounded(&init_path, MAX_INIT_BYTES)?;
    check_static(&init_path, &init)?;
    let mut files = BTreeMap::from([("/init".to_owned(), crate::input::sha256(&init))]);
    let mut extra = Vec::new();
    for file in &boot.file {
        let bytes = read_bounded(&recipe.resolve(file.source.get_ref()), MAX_EXTRA_BYTES)?;
        files.insert(file.path.get_ref().clone(), crate::input::sha256(&bytes));
        extra.push(initramfs::ExtraFile {
            path: file.path.get_ref().clone(),
            mode: if file.executable { 0o755 } else { 0o644 },
            data: bytes,
        });
    }
    let product = initramfs::Product {
        product: recipe.product.name.clone(),
        vendor: recipe.product.vendor.clone(),
        version: recipe.product.version.clone(),
    };
    let initrd = initramfs::build(&Contents {
        init,
        modules: selection,
        product,
        files: extra,
        time: 0,
    })?;
    let kernel = read_bounded(&package.image(), MAX_KERNEL_BYTES)?;
    let command_line = match &boot.cmdline {
        Some(more) => format!("{COMMAND_LINE} {}", more.get_ref()),
        None => COMMAND_LINE.to_owned(),
    };
    let loader = Loader::make(lock, cache)?;
    let disk = boot::disk(Inputs {
        boot_img: loader.boot_img,
        core_img: loader.core_img,
        boot_efi: loader.efi,
        slot: SlotContent {
            kernel,
            initrd,
            command_line,
        },
        disk_guid: seed.child("disk"),
    })?;
    Ok(BootDisk { disk, files })
}

/// A program that wants a dynamic loader would end as "no init found" at the customer's.
fn check_static(path: &Path, program: &[u8]) -> Result<()> {
    let fail = |reason: &str| Err(Error::Usage(format!("{}: {reason}", path.display())));
    if !program.starts_with(b"\x7fELF") {
        return fail("not an ELF program");
    }
    let interpreter = b"/lib64/ld-linux";
    if program
        .windows(interpreter.len())
        .take(4096)
        .any(|window| window == interpreter)
    {
        return fail("linked dynamically; the image has no libraries, so /init must be static");
    }
    Ok(())
}
