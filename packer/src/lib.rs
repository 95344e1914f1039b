//! From a recipe to a signed virtual appliance, and from the appliance to a running machine.
//!
//! ```no_run
//! use std::path::Path;
//!
//! let recipe = packer::Recipe::open(Path::new("appliance.toml"))?;
//! let plan = packer::build::Plan::new(&recipe, None)?;
//! plan.write(Path::new("appliance.ova"), &mut |_| {})?;
//! # Ok::<(), packer::Error>(())
//! ```
//!
//! - [`recipe`]: what an appliance is, as a TOML file
//! - [`debian`]: locked Debian packages, the inputs of boot and state disks
//! - [`boot_disk`], [`state_disk`]: the disks that are made, not given
//! - [`build`]: everything into one archive, in one pass
//! - [`sbom`]: the bill of materials
//! - [`sign`]: a package signed anew, or for the first time
//! - [`policy`]: whom to believe, as a TOML file
//! - [`keygen`]: keys for development
//! - [`deployment`]: property values for one deployment of a package
//! - [`machine`]: a virtual machine, run by QEMU
//! - [`location`]: where a package is: a file, standard input, a server
//! - [`remote`]: packages on servers, read by the parts that are wanted
//! - [`package`]: a package as whoever runs it sees it
//! - [`opened`]: a package whose files are opened once, for a verdict and for what follows it
//! - [`output`]: files that appear whole or not at all
//! - [`unfinished`]: what must not stay behind
#![forbid(unsafe_code)]

pub mod boot_disk;
pub mod build;
pub mod debian;
pub mod deployment;
mod error;
pub mod extract;
pub mod input;
pub mod keygen;
pub mod location;
pub mod machine;
pub mod opened;
pub mod output;
pub mod pack;
pub mod package;
mod piped;
pub mod policy;
pub mod recipe;
pub mod remote;
pub mod sbom;
pub mod section;
pub mod sign;
pub mod state_disk;
pub mod unfinished;

pub use error::{Error, Result};
pub use recipe::Recipe;
