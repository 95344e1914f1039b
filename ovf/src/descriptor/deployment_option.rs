//! DeploymentOptionSection: the sizes or shapes that a package can be deployed in (DSP0243 9.8).

use super::element::{Faults, boolean, child_text, children, required};
use super::text::Text;
use crate::xml::{Element, Origin};

/// The deployment options of a package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeploymentOptions {
    /// What the section is for.
    pub info: Text,
    /// The options.
    pub configurations: Vec<Configuration>,
    /// Where it was read.
    pub origin: Origin,
}

/// One deployment option.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Configuration {
    /// The name by which items and values refer to it.
    pub id: String,
    /// Whether it applies where none is chosen.
    pub default: bool,
    /// Its name to people.
    pub label: Text,
    /// What it is for.
    pub description: Text,
    /// Where it was read.
    pub origin: Origin,
}

impl DeploymentOptions {
    /// The option that applies where none is chosen: the one marked, or the first (DSP0243 9.8).
    pub fn default(&self) -> Option<&Configuration> {
        let marked = self.configurations.iter().find(|it| it.default);
        marked.or(self.configurations.first())
    }

    pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> Self {
        DeploymentOptions {
            info: child_text(element, "Info"),
            configurations: children(element, "Configuration")
                .map(|it| Configuration {
                    id: required(it, "id", faults),
                    default: boolean(it, "default", false, faults),
                    label: child_text(it, "Label"),
                    description: child_text(it, "Description"),
                    origin: it.position().into(),
                })
                .collect(),
            origin: element.position().into(),
        }
    }
}
