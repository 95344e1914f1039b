//! NetworkSection: the logical networks (DSP0243 9.2).

use super::element::{Faults, children, optional_text, required};
use super::text::Text;
use crate::xml::{Element, Origin, Writer};

/// A logical network that adapters connect to by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<Text>,
    /// Where it was read.
    pub origin: Origin,
}

pub(super) fn read(section: Element<'_>, faults: &mut Faults) -> Vec<Network> {
    children(section, "Network")
        .map(|element| Network {
            name: required(element, "name", faults),
            description: optional_text(element, "Description"),
            origin: element.position().into(),
        })
        .collect()
}

pub(super) fn write(networks: &[Network], writer: &mut Writer) {
    writer.element("NetworkSection", &[], |writer| {
        writer.text("Info", &[], "Logical networks");
        for network in networks {
            let attributes = [("ovf:name", network.name.as_str())];
            match &network.description {
                Some(text) => {
                    writer.element("Network", &attributes, |writer| text.write("Description", writer));
                }
                None => writer.empty("Network", &attributes),
            }
        }
    });
}
