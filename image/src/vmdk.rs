//! VMDK: the disk format of OVF packages, and its kinds that virtual machines run from.
//!
//! After VMware's *Virtual Disk Format 1.1*. [`Disk`] reads all kinds at random: one sparse file, a descriptor with flat
//! or sparse extents beside it, a delta over its parents. [`write_sparse`] writes one sparse file; [`write()`] writes the
//! stream that packages carry, in one pass. A stream is made of 512-byte sectors:
//!
//! ```text
//! header            version 3, compressed grains and markers, grain directory at the end
//! descriptor        text, from sector 1, 20 sectors
//! padding           up to sector 128
//! grains            each: marker (sector on the disk, length), zlib data, padding; all-zero grains are left out
//! grain table       after the last grain of each 32 MiB that has any: marker, 512 sector numbers
//! grain directory   marker, one sector number for each table
//! footer            marker, the header again, now with the directory's place
//! end of stream     one sector of zeros, and not a byte after it
//! ```
//!
//! | attack | answer |
//! |---|---|
//! | a capacity that would take all memory, or all of a disk | the caller's ceiling, before anything is set aside for it |
//! | grains that inflate without end (bombs) | a grain has a grain's room and no more; zlib data must end with it |
//! | grains or tables over each other, twice, out of order, outside the file | [`Stream`] refuses them where they come; [`Disk::check`] finds them before; a sparse disk's tables are proved apart when it is opened |
//! | tables that tell another place than the markers do, or the redundant copies | refused where they are read: each compressed grain carries its own place |
//! | a footer for another disk, no end marker, bytes after it | refused |
//! | tables held back to fill memory | no more than 8 MiB of them are owed, or known ahead |
//! | a huge grain, or a table that is no power of two | refused with the header |
//! | many extents, so that each one's cache counts | caches are shared out between them |
//! | a descriptor that names other files, by path or link | plain names beside it; parents only inside the folder that the caller allows |
//!
//! Importers refuse a stream without its end marker or with bytes after it, so the writer gives exactly that and the
//! strict [`Stream`] reader accepts nothing else, nor does [`crate::extract()`], which inflates on all cores; but for streams of
//! `qemu-img`, whose tables all stand at the head and which end with their last grain.
//!
//! ```
//! use image::{source::Composed, vmdk};
//! let mut disk = Composed::new(10 << 20);
//! disk.put(0, b"boot".to_vec())?;
//! let mut stream = Vec::new();
//! let written = vmdk::write(&disk, &mut stream, &vmdk::Options::default(), &mut |_| {})?;
//! assert_eq!((written.capacity, written.grains, written.length), (10 << 20, 1, stream.len() as u64));
//! vmdk::Stream::open(&stream[..], 1 << 30)?.compare(&disk)?;
//! # Ok::<(), image::error::Error>(())
//! ```

mod ahead;
mod check;
mod descriptor;
mod disk;
mod extent_line;
mod feed;
mod files;
mod grain;
mod header;
mod inflate;
mod level;
mod map;
mod marker;
mod monolithic;
mod sparse;
mod stream;
mod text;
mod writer;

pub use descriptor::{Access, Descriptor, Extent, ExtentKind, Parent};
pub use disk::Disk;
pub(crate) use feed::Grains;
pub use files::Opening;
pub(crate) use files::check_path;
pub use header::Header;
pub use level::Level;
pub use monolithic::write_sparse;
pub(crate) use monolithic::write_sparse_feed;
pub use stream::{Grain, Stream, Summary};
pub use text::Adapter;
pub(crate) use writer::write_feed;
pub use writer::{Options, Written, write};

/// Entries of a grain table; the format knows no other number.
const TABLE_ENTRIES: usize = 512;
/// What a grain table takes, in sectors.
const TABLE_SECTORS: u64 = 4;

/// The largest capacity read or written, in bytes: what vSphere allows a virtual disk, rounded up.
pub const CAPACITY_LIMIT: u64 = 64 << 40;

#[cfg(test)]
mod tests;
