//! Packages: an OVA as a stream, or a folder with a descriptor, read member by member under one strict set of rules.
//!
//! [`Source`] opens either; [`ova::Reader`] walks an archive of which only a stream is at hand; [`ova::Writer`] writes
//! one in a single pass. A [`MemberName`] is a name that cannot lead out of the package.

mod folder;
mod member;
mod member_name;
pub mod ova;
mod source;

pub use self::member::{Member, Role};
pub use self::member_name::MemberName;
pub use self::source::Source;

/// The ceiling of a descriptor's size in bytes.
pub const MAX_DESCRIPTOR_BYTES: u64 = 16 << 20;

/// The ceiling of a package's number of members.
pub const MAX_MEMBERS: usize = 10_000;
