//! On a node: taking a version from another node, by a server's grant and by this node's own judgement.
//!
//! ```text
//! grant ─► what it says of past and room ─► descriptor, manifest, certificate ─► the other files ─► verdict ─► receipt
//!          [`Arrival`], memory, quota       judged before anything else comes    chunk by chunk      keeper
//! ```
//!
//! The checks come in that order, and each before an effect: nothing of a package is asked for by a grant that isn't good, no
//! disk comes for a package whose publisher isn't believed, and nobody sees any of it before the verdict on all of it. Whatever
//! way the bytes take, and whoever sends them, the checks are the same.
//!
//! Everything is in tables or in quarantine: an order that comes again, after a restart, is gone on with.

mod arrival;
mod assembly;
mod beginning;
mod carried;
mod decision;
mod fault;
mod file;
mod glance;
mod leading;
mod pace;
mod plan;
mod queue;
mod run;
mod source;
mod standing;
mod version;
mod wish;
mod withdraw;
mod worker;

pub use arrival::Arrival;
pub(crate) use arrival::refuse_grants_before;
pub(crate) use beginning::granted;
pub(crate) use carried::{bring, is_carried};
pub(crate) use run::{cancel, receive};
pub use wish::Wish;
pub(crate) use withdraw::withdraw;
