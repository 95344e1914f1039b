//! VHD: the disk format of Virtual PC, of older Hyper-V and of Azure, fixed and dynamic.
//!
//! After Microsoft's *Virtual Hard Disk Image Format Specification* 1.0; all numbers are big-endian.
//!
//! ```text
//! fixed      the disk's bytes, then the footer
//! dynamic    the footer's copy, a header of 1024 bytes, the block allocation table (one sector number a block),
//!            blocks of 2 MiB, each after the bitmap of its sectors that hold anything, and the footer
//! ```
//!
//! | attack | answer |
//! |---|---|
//! | a footer that was changed, or that differs from its copy | checksums of footer and header; the copy has to be the same |
//! | a size above what was declared, or beyond the file | the caller's ceiling; a fixed disk shorter than it says is refused |
//! | a table of entries without end | as many as the size needs, below the format's 2040 GiB |
//! | blocks outside the file, over each other or over the tables | [`Disk::check`]; a reader finds those outside when it gets there |
//! | a bitmap that leaves sectors out | they are zeros, whatever the file holds there |
//! | a parent locator that names other files | differencing disks are refused by name; nothing else is ever opened |
//!
//! A disk's size is the footer's `current size`. Readers that derive it from the geometry, as QEMU does for creators that
//! it doesn't know, would lose the disk's end: [`write()`] names Hyper-V as the creator, as others do. Azure takes fixed
//! disks of whole MiB only: sizes are rounded up to that, with zeros. Differencing disks are refused.
//!
//! ```
//! use image::{source::{Composed, Memory, Seeking, Source as _}, vhd};
//! let mut disk = Composed::new(10 << 20);
//! disk.put(0, b"boot".to_vec())?;
//! let sink = Seeking::new(std::io::Cursor::new(Vec::new()));
//! let written = vhd::write(&disk, &sink, &vhd::Options::default(), &mut |_| {})?;
//! let file = Memory(sink.into_inner().into_inner());
//! assert_eq!((written.capacity, written.length), (10 << 20, file.size()));
//! assert_eq!(vhd::Disk::open(file, 1 << 30)?.size(), 10 << 20);
//! # Ok::<(), image::error::Error>(())
//! ```

mod check;
mod disk;
mod footer;
mod geometry;
mod header;
mod writer;

pub use disk::Disk;
pub use footer::{Footer, Form};
pub use geometry::Geometry;
pub(crate) use writer::write_feed;
pub use writer::{Options, Written, write};

/// The largest capacity read or written, in bytes: what the format can address.
pub const CAPACITY_LIMIT: u64 = 2040 << 30;

/// What Azure asks a disk's size to be a multiple of, in bytes.
const SIZE_UNIT: u64 = 1 << 20;

#[cfg(test)]
mod tests;
