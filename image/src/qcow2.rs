//! QCOW2: QEMU's disk format, read at random and written in one pass.
//!
//! After *Qcow2 Image File Format* (QEMU's `docs/interop/qcow2`). A file is made of clusters, by default of 64 KiB, and all
//! its numbers are big-endian:
//!
//! ```text
//! header            version 2 or 3, extensions, the backing file's name
//! L1 table          one number for each L2 table: where that is
//! L2 tables         of a cluster each, one entry for each cluster of the disk: where it is, or that it is zeros
//! refcount table    where the refcount blocks are, which count the uses of each cluster of the file
//! clusters          data, or packed together where they are compressed
//! ```
//!
//! A cluster without a place is the backing file's; without one of those, it is zeros.
//!
//! | attack | answer |
//! |---|---|
//! | a size, an L1 table or a cluster size that would take all memory | ceilings in [`Header::read`]; tables are read by slices into a bounded cache |
//! | a name that makes the reader open another file | [`Disk`] opens nothing: the caller gives [`Companions`], and [`crate::open()`] keeps them inside a folder |
//! | tables and clusters outside the file, or off a cluster's boundary | [`Kind::Truncated`](crate::error::Kind::Truncated) or [`Kind::Malformed`](crate::error::Kind::Malformed) where they are read; [`check`] finds them all before |
//! | an L1 table whose entries all name one L2 table, to make reading or [`check`] endless | no L2 table is read before all of them are proved apart and inside the file |
//! | two places that share a cluster, tables that lie over data | [`check`]; a reader sees data twice, never more than the capacity |
//! | clusters by turns absent and zeros over one long hole, to make the search for data endless | the last answer about the disk beneath is kept |
//! | compressed data that inflates beyond a cluster | it has a cluster's room and no more |
//! | zstd frames that ask for huge windows | they are inflated whole into that room, without a window |
//! | unknown incompatible features, the corrupt mark, encryption | refused by name |
//!
//! ```
//! use image::{qcow2, source::{Composed, Memory, Seeking, Source as _}};
//! let mut disk = Composed::new(10 << 20);
//! disk.put(5 << 20, b"data".to_vec())?;
//! let file = Seeking::new(std::io::Cursor::new(Vec::new()));
//! qcow2::write(&disk, &file, &qcow2::Options::default(), &mut |_| {})?;
//! let copy = qcow2::Disk::open(Memory(file.into_inner().into_inner()), 1 << 30, qcow2::Companions::default())?;
//! assert_eq!((copy.size(), copy.data_length()?), (10 << 20, 65_536));
//! # Ok::<(), image::error::Error>(())
//! ```

mod check;
mod disk;
mod entry;
mod extension;
mod header;
mod inflate;
mod output;
mod refcount;
mod seeker;
mod writer;

pub use check::check;
pub use disk::{Companions, Disk};
pub use header::{Backing, Compression, Header};
pub(crate) use writer::write_feed;
pub use writer::{Options, Packing, Written, write};

/// The largest disk read or written, in bytes: as of VMDK, so that each can become the other.
pub const CAPACITY_LIMIT: u64 = 64 << 40;

#[cfg(test)]
mod tests;
