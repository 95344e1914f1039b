//! Kernel modules: what a `.ko` says of itself, which modules a list of wanted ones brings along, and the index that
//! the runtime loads them by.
//!
//! The builder [`select`]s modules from a kernel package and writes their [`Index`] into the initramfs; the runtime
//! parses that index and asks it for [`Index::load_order`] and [`Index::matching`].

mod index;
mod modinfo;
mod name;
mod pattern;
mod selection;

pub use index::{Alias, Index};
pub use modinfo::{Modinfo, SoftDependencies};
pub use name::Name;
pub use pattern::matches;
pub use selection::{Lookup, Selection, builtin_names, select};
