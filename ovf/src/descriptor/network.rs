//! NetworkSection: the logical networks (DSP0243 9.2).

use super::element::{children, optional_text, required};
use crate::error::Error;
use crate::xml::{Element, Origin, Writer};

/// A logical network that adapters connect to by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Where it was read.
    pub origin: Origin,
}

pub(super) fn read(section: Element<'_>) -> Result<Vec<Network>, Error> {
    children(section, "Network")
        .map(|element| {
            Ok(Network {
                name: required(element, "name")?.to_owned(),
                description: optional_text(element, "Description"),
                origin: element.position().into(),
            })
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
                    writer.element("Network", &attributes, |writer| {
                        writer.text("Description", &[], text)
                    });
                }
                None => writer.empty("Network", &attributes),
            }
        }
    });
}
