//! OVF packages: reading, writing, signing and judging them (DMTF DSP0243).
//!
//! A package is a descriptor with its files, in a folder or in one archive. Everything here is synchronous and silent:
//! bytes come in through [`std::io::Read`], time and policy as values, and what is found goes back as types.
//!
//! ```no_run
//! use ovf::package::Source;
//! use ovf::verify::{Policy, verify};
//!
//! let path = std::path::Path::new("product.ova");
//! let verdict = verify(&mut Source::open(path)?, &Policy::at(1_800_000_000));
//! if verdict.is_accepted() {
//!     let descriptor = Source::open(path)?.read_descriptor()?;
//!     println!("{} system(s)", descriptor.systems().len());
//! }
//! # Ok::<(), ovf::Error>(())
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`descriptor`] | the descriptor as types: files, disks, networks, systems, hardware, properties |
//! | [`conformance`] | rules about descriptors, the standard's and those of importers |
//! | [`environment`] | the document that tells a guest its properties |
//! | [`manifest`] | digests, and the manifest's lines |
//! | [`certificate`] | the signature over the manifest, keys, whom to trust, who is revoked |
//! | [`package`] | members' names, archives and folders, the one-pass writer |
//! | [`verify`] | the verdict on a package, under a policy |
//! | [`xml`] | the strict lossless tree below the documents |
//! | [`error`] | the one error: kind, place, reason, source |
//!
//! Nothing from outside is believed: names, lengths and digests become types at the border, every document and member
//! has a ceiling, and one strict reader reads them all.

#![forbid(unsafe_code)]

pub mod certificate;
pub mod conformance;
pub mod descriptor;
pub mod environment;
pub mod error;
pub mod manifest;
pub mod package;
pub mod verify;
pub mod xml;

pub use error::{Error, Kind, Place};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod seeds;
