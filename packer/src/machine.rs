//! A QEMU machine that runs a package from the package's own disks.
//!
//! Nothing is unpacked: each disk is a copy-on-write layer over the VMDK inside the package. The layers live in a
//! temporary folder, or in one that is kept.

mod accelerator;
mod command_line;
mod console;
mod disk;
mod firmware;
mod monitor;
mod proof;

pub use accelerator::Accelerator;
pub use command_line::{DiskBus, Forward, Machine, NicModel, Protocol};
pub use console::Console;
pub use disk::{Backing, layer};
pub use firmware::Firmware;
pub use monitor::Monitor;
pub use proof::kvm_works;
