//! Managers of virtual data centres (VDC managers) behind one trait: what they offer, importing a package's machine, power.
//!
//! A [`Machine`](machine::Machine) is what a package's descriptor asks for. A [`Manager`](manager::Manager) makes one of it:
//! disks as they are read, nothing copied on the way, and nothing left behind if that fails.
//!
//! - [`machine`]: what a package asks for, in words that no manager owns
//! - [`manager`]: what a manager can do
//! - [`inventory`], [`usage`], [`event`]: what it holds, what that uses, what happens to it
//! - [`libvirt`]: libvirt with QEMU
//!
//! ```no_run
//! use vdc::{libvirt::Libvirt, manager::Manager as _};
//!
//! let target = Libvirt::connect("qemu:///system")?;
//! for network in target.inventory()?.networks {
//!     println!("{}", network.name);
//! }
//! # Ok::<(), vdc::error::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod error;
pub mod event;
pub mod inventory;
pub mod libvirt;
pub mod machine;
pub mod manager;
pub mod usage;
