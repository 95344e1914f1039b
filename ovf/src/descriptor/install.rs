//! InstallSection: a system that must boot once to install itself (DSP0243 9.10).

use super::element::{Faults, boolean, child_text, number};
use super::text::Text;
use crate::xml::{Element, Origin};

/// A first boot that ends by switching off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Install {
    /// What the section is for.
    pub info: Text,
    /// Whether the system is to be booted for its installation (`ovf:initialBoot`, OVF 2.x; true if not told).
    pub initial_boot: bool,
    /// How long to wait for its end, in seconds; 0 for as long as it takes.
    pub initial_boot_stop_delay: u64,
    /// Where it was read.
    pub origin: Origin,
}

impl Install {
    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        Install {
            info: child_text(element, "Info"),
            initial_boot: boolean(element, "initialBoot", true, faults),
            initial_boot_stop_delay: number(element, "initialBootStopDelay", faults).unwrap_or_default(),
            origin: element.position().into(),
        }
    }
}
