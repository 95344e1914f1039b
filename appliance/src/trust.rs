//! Whom a tenant believes: certificates that signatures have to lead to, and what is asked of packages beside that.
//!
//! Each tenant decides for itself, and the provider for what is its own. Who has named nobody believes nobody.

mod foresight;
mod judge;
mod policy;
mod root;

pub use foresight::{foresee, foresee_archive};
pub use judge::{Package, Part, judge, refusal};
pub use policy::{InForce, Policy, Signer};
pub use root::Root;
