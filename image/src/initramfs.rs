//! The initramfs: the runtime as `/init`, kernel modules with their index, a few directories and nodes, in a compressed
//! cpio archive.
//!
//! | path | what |
//! |---|---|
//! | `/init` | the runtime, a static executable; `/sbin/poweroff` links to it, as Hyper-V's shutdown runs that name |
//! | `/lib/modules/NAME.ko`, `/lib/modules/index` | modules and their [`Index`](crate::modules::Index) |
//! | `/etc/vcc/product.json` | [`Product`] as an object of three strings |
//! | `/dev/console`, `/dev/null` | nodes that the kernel and the runtime need before `/dev` is mounted |
//! | `/dev /proc /sys /run /state /mnt` | mount points |

use zstd::bulk::Compressor;
use zstd::stream::raw::CParameter;

use crate::cpio::Archive;
use crate::error::{Error, Place, Result};
use crate::modules::Selection;

/// zstd's level: the image is built once and unpacked at every boot.
const LEVEL: i32 = 19;
/// The window's size as a power of two. The kernel sets the whole window aside while it unpacks, and appliances are small.
const WINDOW_LOG: u32 = 23;

/// What the appliance is, as the runtime tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// The product's name.
    pub product: String,
    /// Who makes it.
    pub vendor: String,
    /// Its version.
    pub version: String,
}

/// A file of the recipe's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraFile {
    /// Where it goes: a path from the root, with or without a slash in front.
    pub path: String,
    /// Its permissions, such as `0o644`.
    pub mode: u32,
    /// Its content.
    pub data: Vec<u8>,
}

/// All that goes into an initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The runtime: a static executable for the kernel's machine.
    pub init: Vec<u8>,
    /// Kernel modules and their index.
    pub modules: Selection,
    /// The product.
    pub product: Product,
    /// Further files; none may take a path that is used above.
    pub files: Vec<ExtraFile>,
    /// The time that all files bear, in seconds since 1970.
    pub time: u32,
}

/// The initramfs as the kernel takes it: newc cpio, compressed with zstd, checksum included. Same contents, same bytes.
///
/// # Errors
/// [`Kind::Invalid`](crate::error::Kind::Invalid) or [`Kind::Overlap`](crate::error::Kind::Overlap) for an extra file's
/// path, named in the error.
pub fn build(contents: &Contents) -> Result<Vec<u8>> {
    compress(&archive(contents)?.render())
}

fn archive(contents: &Contents) -> Result<Archive> {
    let mut archive = Archive::new(contents.time);
    for mount_point in ["dev", "proc", "sys", "run", "state", "mnt"] {
        archive.directory(mount_point, 0o755)?;
    }
    archive.char_device("dev/console", 0o600, 5, 1)?;
    archive.char_device("dev/null", 0o666, 1, 3)?;
    archive.file("init", 0o755, contents.init.clone())?;
    archive.symlink("sbin/poweroff", "/init")?;
    for (name, file) in &contents.modules.files {
        archive.file(&format!("lib/modules/{name}.ko"), 0o644, file.clone())?;
    }
    archive.file(
        "lib/modules/index",
        0o644,
        contents.modules.index.render().into_bytes(),
    )?;
    archive.file(
        "etc/vcc/product.json",
        0o644,
        contents.product.to_json().into_bytes(),
    )?;
    for extra in &contents.files {
        let path = extra.path.strip_prefix('/').unwrap_or(&extra.path);
        archive.file(path, extra.mode, extra.data.clone())?;
    }
    Ok(archive)
}

/// zstd as the kernel's unpacker takes it, from one thread so that the bytes are always the same.
fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    let failed = |e| Error::io(Place::Whole, "compress the initramfs", e);
    let mut compressor = Compressor::new(LEVEL).map_err(failed)?;
    compressor
        .set_parameter(CParameter::WindowLog(WINDOW_LOG))
        .map_err(failed)?;
    compressor
        .set_parameter(CParameter::ChecksumFlag(true))
        .map_err(failed)?;
    compressor.compress(bytes).map_err(failed)
}

impl Product {
    fn to_json(&self) -> String {
        let object =
            serde_json::json!({ "product": self.product, "vendor": self.vendor, "version": self.version });
        format!("{object}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::modules::Index;
    use std::collections::BTreeMap;

    fn contents() -> Contents {
        let name = || "ext4".parse().unwrap();
        let modules = Selection {
            index: Index::parse(b"module ext4\nalways ext4\n").unwrap(),
            files: BTreeMap::from([(name(), b"elf".to_vec())]),
            modules: BTreeMap::new(),
        };
        Contents {
            init: b"runtime".to_vec(),
            modules,
            product: Product {
                product: "A \"b\"".into(),
                vendor: "v".into(),
                version: "1".into(),
            },
            files: vec![ExtraFile {
                path: "/etc/motd".into(),
                mode: 0o644,
                data: b"hello".to_vec(),
            }],
            time: 0,
        }
    }

    #[test]
    fn it_unpacks_to_an_archive_with_all_contents() {
        let packed = build(&contents()).unwrap();
        let archive = zstd::bulk::decompress(&packed, 1 << 20).unwrap();
        let text = String::from_utf8_lossy(&archive);
        for path in [
            "init",
            "lib/modules/ext4.ko",
            "lib/modules/index",
            "etc/motd",
            "sbin/poweroff",
            "dev/null",
            "state",
        ] {
            assert!(text.contains(&format!("{path}\0")), "{path}");
        }
        assert!(text.contains(r#"{"product":"A \"b\"","vendor":"v","version":"1"}"#));
        assert_eq!(packed, build(&contents()).unwrap());
    }

    #[test]
    fn the_frame_has_a_checksum_and_a_window_that_the_kernel_takes() {
        let noise = crate::cpio::Archive::new(0).render().repeat(20_000);
        let frame = compress(&noise).unwrap();
        let descriptor = frame[4];
        assert_ne!(descriptor & 4, 0, "checksum flag");
        let single_segment = descriptor & 0x20 != 0;
        let window = 1u64 << (10 + (frame[5] >> 3));
        assert!(single_segment || window <= 8 << 20, "{window}");
    }

    #[test]
    fn an_extra_file_cannot_replace_the_runtime() {
        let mut contents = contents();
        contents.files[0].path = "init".into();
        let error = build(&contents).unwrap_err();
        assert_eq!(
            (error.kind(), error.place()),
            (Kind::Overlap, &Place::File("init".into()))
        );
    }
}
