//! Packages: an OVA as a stream, or a folder with a descriptor, read member by member under one strict set of rules.
//!
//! [`Source`] opens either, also from what stands behind [`Folder`] or behind [`Read`](std::io::Read) and
//! [`Seek`](std::io::Seek); [`ova::Reader`] walks an archive of which only a stream is at hand; [`ova::Writer`] writes
//! one in a single pass. A [`MemberName`] is a name that cannot lead out of the package.
//!
//! A file of the References is one member or many, compressed or not: [`FileReader`] makes one stream of it, in order
//! by [`Source::file`] or in any order by [`Index::file`].
//!
//! # Ceilings
//!
//! | what | at most | above it |
//! |---|---|---|
//! | descriptor | [`MAX_DESCRIPTOR_BYTES`], 16 MiB | `package.limit` |
//! | manifest | [`manifest::MAX_BYTES`](crate::manifest::MAX_BYTES), 1 MiB | `package.limit` |
//! | certificate file | [`certificate::MAX_BYTES`](crate::certificate::MAX_BYTES) | `package.limit` |
//! | members of a package | [`MAX_MEMBERS`], 10 000 | `package.limit` |
//! | chunks of a file | [`Limits::chunks`], [`MAX_CHUNKS`] unless told | `package.limit` |
//! | a member's name | [`MemberName::MAX_BYTES`], 255 bytes | `package.member-name` |
//! | a member | 2^63 - 513 bytes; from 8 GiB on told in GNU's base 256 | `package.header` |
//! | a file, joined and decompressed | [`Limits::bytes`]; the disk's capacity and a little, or [`MAX_UNPACKED_BYTES`] | `file.limit` |
//! | a PAX or GNU header before a member | 64 KiB, one a member | `package.header` |
//! | zeros after the archive's end | its last record; where tolerated, 16 MiB | `package.trailing-data` |
//!
//! # Dialects of tar
//!
//! USTAR and GNU headers are read, and PAX headers that change nothing about a member: times, owners, remarks. By
//! [`Source::tolerate_pax`] those with a path are, by [`Source::tolerate_long_names`] GNU's long names. A PAX size that
//! is not the one in the member's own header is refused always, as are links, sparse files and global headers.

mod file;
mod folder;
mod index;
mod member;
mod member_name;
pub mod ova;
mod source;

pub use self::file::{FileReader, Limits};
pub use self::folder::{Directory, Folder, FolderFile};
pub use self::index::Index;
pub use self::member::{Member, MemberInfo, Role};
pub use self::member_name::MemberName;
pub use self::source::Source;

/// The ceiling of a descriptor's size in bytes.
pub const MAX_DESCRIPTOR_BYTES: u64 = 16 << 20;

/// The ceiling of a package's number of members.
pub const MAX_MEMBERS: usize = 10_000;

/// The ceiling of a file's number of chunks.
pub const MAX_CHUNKS: usize = MAX_MEMBERS;

/// The ceiling, in bytes, of what a compressed file unpacks into where no disk's capacity tells one.
pub const MAX_UNPACKED_BYTES: u64 = 64 << 30;

#[cfg(test)]
mod tests;
