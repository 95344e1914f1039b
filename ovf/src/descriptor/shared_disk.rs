//! SharedDiskSection: disks that several systems have at once (DSP0243 2.x, 9.13).

use super::disk::{self, Disk};
use super::element::{Faults, boolean, children};
use crate::xml::Element;

/// A disk that several systems have at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SharedDisk {
    /// What it shares with every other disk.
    pub disk: Disk,
    /// Whether nobody may write to it.
    pub read_only: bool,
}

pub(super) fn read(section: Element<'_>, faults: &mut Faults) -> Vec<SharedDisk> {
    children(section, "SharedDisk")
        .map(|element| SharedDisk {
            disk: disk::read_one(element, faults),
            read_only: boolean(element, "readOnly", false, faults),
        })
        .collect()
}
