//! ScaleOutSection: how many copies of a member there may be (DSP0243 2.x, 9.14).

use super::element::{Faults, child, child_text, number, optional_text, owned};
use super::text::Text;
use crate::xml::{Element, Origin};

/// The number of instances of a collection's member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScaleOut {
    /// The member, by id.
    pub id: String,
    /// What the section is for.
    pub info: Text,
    /// More about it.
    pub description: Option<Text>,
    /// How many there are where nobody says.
    pub default: Option<u32>,
    /// The least.
    pub minimum: Option<u32>,
    /// The most.
    pub maximum: Option<u32>,
    /// Where it was read.
    pub origin: Origin,
}

impl ScaleOut {
    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        let count = child(element, "InstanceCount");
        let mut bound = |name: &str| count.and_then(|count| number(count, name, faults));
        ScaleOut {
            default: bound("default"),
            minimum: bound("minimum"),
            maximum: bound("maximum"),
            id: owned(element, "id").unwrap_or_default(),
            info: child_text(element, "Info"),
            description: optional_text(element, "Description"),
            origin: element.position().into(),
        }
    }
}
