//! Disk images: the formats that packages carry, and a disk that boots.
//!
//! Everything here turns bytes into bytes: nothing waits, spawns or prints, and the same inputs always give the same
//! output. What comes from outside is read strictly, under ceilings, and every [`error::Error`] tells kind, place and reason.
//!
//! A disk is a [`source::Source`]: a raw file with its holes, one composed in memory, or the disk inside an image of any
//! format, from [`open()`]. The writers of VMDK and QCOW2 take any:
//!
//! ```
//! use image::{source::Composed, vmdk};
//!
//! let mut disk = Composed::new(64 << 20);
//! disk.put(1 << 20, b"the only bytes of this disk".to_vec())?;
//! let mut stream = Vec::new();
//! let written = vmdk::write(&disk, &mut stream, &vmdk::Options::default(), &mut |_| {})?;
//! assert_eq!(written.capacity, 64 << 20);
//! assert!(written.length < 80_000);
//! # Ok::<(), image::error::Error>(())
//! ```
#![forbid(unsafe_code)]

mod cache;
pub mod compare;
pub mod convert;
pub mod error;
mod feed;
mod field;
pub mod finding;
mod folder;
pub mod format;
pub mod guid;
pub mod open;
#[cfg(test)]
mod oracle;
mod pipeline;
pub mod slot;
pub mod source;
mod spare;
mod table;

pub mod ext4;
pub mod fat32;
pub mod gpt;
pub mod iso9660;
pub mod qcow2;
pub mod vhd;
pub mod vhdx;
pub mod vmdk;

pub mod boot;
pub mod cpio;
pub mod grub;
pub mod initramfs;
pub mod modules;

pub use convert::{convert, extract};
pub use open::open;
