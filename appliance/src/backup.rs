//! Backups of a state directory: one file, made while the service runs, and put in place where none does.
//!
//! ```text
//! vcc-backup.json                     the manifest: format, version, and size and SHA-256 digest of each member
//! identity/{instance-id,key.pem,cert.pem}
//! vcc.db                              the database as it was at one moment
//! ```
//!
//! It is a tar archive of plain files in this order. What belongs to the machine and not to the connector (its starts, its
//! clock, its logs) stays out. All of it is secret: keys, hashes of passwords, digests of tokens. Digests find damage and no
//! forgery: whoever writes a backup decides what is restored.

mod archive;
mod manifest;
mod owner;
mod restore;
mod save;
mod takeover;

pub use manifest::{Manifest, Member};
pub use restore::{Restored, restore};
pub use save::save;
pub(crate) use takeover::finish;
