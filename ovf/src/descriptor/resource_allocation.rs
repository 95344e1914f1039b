//! ResourceAllocationSection: what a collection as a whole gets (DSP0243 9.3).

use super::element::{Faults, child_text, children};
use super::item::{self, Item};
use super::text::Text;
use crate::xml::{Element, Origin};

/// Reservations, limits and shares of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResourceAllocation {
    /// What the section is for.
    pub info: Text,
    /// One item a resource.
    pub items: Vec<Item>,
    /// Where it was read.
    pub origin: Origin,
}

impl ResourceAllocation {
    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        ResourceAllocation {
            info: child_text(element, "Info"),
            items: children(element, "Item")
                .map(|it| item::read(it, faults))
                .collect(),
            origin: element.position().into(),
        }
    }
}
