//! PlacementGroupSection and PlacementSection: which systems belong together or apart (DSP0243 2.x, 9.15).

use super::element::{Faults, child_text, optional_text, owned, required};
use super::text::Text;
use crate::xml::{Element, Origin};

/// A group that systems are placed in by one policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlacementGroup {
    /// The name by which systems refer to it.
    pub id: String,
    /// How its members are placed.
    pub policy: PlacementPolicy,
    /// What the section is for.
    pub info: Text,
    /// More about it.
    pub description: Option<Text>,
    /// Where it was read.
    pub origin: Origin,
}

/// A system's or collection's membership in a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// The group, by id.
    pub group: String,
    /// What the section is for.
    pub info: Text,
    /// Where it was read.
    pub origin: Origin,
}

/// How the members of a group are placed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PlacementPolicy {
    /// As near to each other as can be.
    Affinity,
    /// So that one failure does not take all of them.
    Availability,
    /// Another word, or none.
    Other(String),
    /// Not told.
    #[default]
    Unknown,
}

impl PlacementGroup {
    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        PlacementGroup {
            id: required(element, "id", faults),
            policy: match owned(element, "policy").as_deref() {
                None => PlacementPolicy::Unknown,
                Some("affinity") => PlacementPolicy::Affinity,
                Some("availability") => PlacementPolicy::Availability,
                Some(other) => PlacementPolicy::Other(other.to_owned()),
            },
            info: child_text(element, "Info"),
            description: optional_text(element, "Description"),
            origin: element.position().into(),
        }
    }
}

impl Placement {
    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        Placement {
            group: required(element, "group", faults),
            info: child_text(element, "Info"),
            origin: element.position().into(),
        }
    }
}
