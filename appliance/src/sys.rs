//! What only a system call or an instruction does and rustix does not offer: the one place with unsafe code.

mod adjtimex;
mod allocator;
mod ext4;
mod vmware;
mod watchdog;

pub(crate) use adjtimex::{Adjustment, adjust_clock};
pub(crate) use allocator::return_large_blocks;
pub(crate) use ext4::{resize_ext4, set_ext4_uuid};
pub(crate) use vmware::{Registers, backdoor, hypervisor_signature};
pub(crate) use watchdog::set_watchdog_timeout;
