//! VHDX: Hyper-V's disk format, read at random.
//!
//! After *[MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format*. All numbers are little-endian:
//!
//! ```text
//! 0                 file type identifier
//! 64, 128 KiB       two headers; the one with the higher sequence number counts
//! 192, 256 KiB      two copies of the region table: where the BAT and the metadata are
//! log               changes of metadata under way; empty where the file was closed in order
//! metadata          sizes of the disk, its blocks and sectors
//! BAT               block allocation table: for each block its state and place, bitmaps' entries in between
//! blocks            of 1 to 256 MiB, on boundaries of 1 MiB
//! ```
//!
//! | attack | answer |
//! |---|---|
//! | headers and region tables changed by accident or hand | CRC-32C of all of them; one sound copy is needed |
//! | a log that must be replayed to see the disk | refused by name: nothing is read from a file that was not closed |
//! | required regions or metadata of unknown meaning | refused by name |
//! | regions outside the file, over each other or over the headers | [`Kind::Overlap`](crate::error::Kind::Overlap), [`Kind::Truncated`](crate::error::Kind::Truncated) |
//! | a metadata item outside its region, or of another size | [`Kind::Malformed`](crate::error::Kind::Malformed) |
//! | sizes that would take all memory | ceilings; the BAT is read by slices into a bounded cache |
//! | a BAT shorter than the disk needs | refused when the file is opened |
//! | blocks outside the file or over each other | [`check`]; a reader finds those outside when it gets there |
//! | a parent locator that names other files | differencing disks are refused by name; nothing else is ever opened |
//!
//! ```no_run
//! use image::{source::{RawFile, Source as _}, vhdx};
//! let disk = vhdx::Disk::open(RawFile::open("disk.vhdx".as_ref())?, 1 << 40)?;
//! println!("{} bytes, {} of them data", disk.size(), disk.data_length()?);
//! # Ok::<(), image::error::Error>(())
//! ```

mod bat;
mod check;
mod crc32c;
mod disk;
mod header;
mod layout;
mod metadata;
mod region;

pub use check::check;
pub use disk::Disk;
pub use header::Header;
pub use metadata::Metadata;

/// The largest disk that the format knows, in bytes.
pub const CAPACITY_LIMIT: u64 = 64 << 40;

const MIB: u64 = 1 << 20;

#[cfg(test)]
mod tests;
