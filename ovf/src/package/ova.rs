//! OVA: a package as one tar archive (DSP0243 5.3).
//!
//! The attacks that the reader stops: links, devices, folders and sparse files; PAX headers that change a name or a
//! size (the reader of one tool sees another archive than that of the next: GHSA-3pv8-6f4r-ffg2), those for the whole
//! archive, GNU's long names; names that lead out
//! of the package, or that one file system holds for another's; sizes that run past any file; bytes in the padding,
//! between members and after the end; an archive cut anywhere. `tar`'s header type is used for the layout of a header
//! alone: the walk is this module's own.

mod changes;
mod header;
mod layout;
mod reader;
mod writer;

pub use self::layout::Layout;
pub use self::reader::Reader;
pub(super) use self::reader::Tolerances;
pub use self::writer::{MemberWriter, Writer, Written, WrittenMember};

/// The unit of a tar archive, in bytes.
const BLOCK_LEN: usize = 512;
const BLOCK: u64 = BLOCK_LEN as u64;

/// The unit that archives are padded to, in bytes: twenty blocks, as every tar does by default.
const RECORD: u64 = 20 * BLOCK;

/// The bytes between `size` bytes and the end of their last block.
fn padding(size: u64) -> u64 {
    (BLOCK - size % BLOCK) % BLOCK
}

#[cfg(test)]
mod tests;
