//! Packages at a URL: read by the parts that are wanted, or as one stream.
//!
//! [`RemoteArchive`] is an archive read by range requests, so that its disks stay where they are; [`RemoteFolder`] a
//! descriptor with its files beside it; [`Download`] a file from its first byte to its last. A [`Client`] sends the
//! requests.
//!
//! What it stops: a server that sends the whole file where a part was asked for, other bytes than were asked for, fewer
//! or more of them, or nothing for long; a file that changes between two requests; redirects without end, and those
//! that lead from `https` to anything else; credentials and signed queries in messages; credentials to another server.
//!
//! | what | at most |
//! |---|---|
//! | redirects, one to the next | 5 |
//! | a response's headers | 64 KiB |
//! | a part of an archive | 64 KiB after a jump, up to 1 MiB where one read follows on the other |
//! | a file beside a descriptor | the size that the server told before |
//! | resolving a name; connecting | [`Settings::connect`] each |
//! | silence | [`Settings::stall`] |
//! | a part, however steadily it comes | 5 minutes |
//!
//! Where the environment names a proxy (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`), requests go through it.

mod address;
mod archive;
mod client;
mod download;
mod folder;
mod version;

pub use self::address::Address;
pub use self::archive::RemoteArchive;
pub use self::client::{Client, Settings};
pub use self::download::Download;
pub use self::folder::RemoteFolder;

use crate::Error;

/// A failure at an address, for readers whose errors are [`std::io::Error`]s.
fn failed(address: &Address, reason: impl Into<String>) -> std::io::Error {
    std::io::Error::other(Error::remote(address, reason))
}

/// The file at an address is another than it was: no failure of the network, but nothing to go on with.
fn changed(address: &Address, what: &str) -> std::io::Error {
    let reason = format!("the file changed while it was read: {what}");
    ovf::Error::new(ovf::Kind::PackageChanged, reason)
        .in_member(address)
        .into()
}
