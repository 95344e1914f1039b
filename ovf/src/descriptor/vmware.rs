//! The sections of VMware's own namespace: storage groups, boot order, the assignment of addresses.

use super::VMW;
use crate::xml::{Element, Origin};

/// `vmw:StorageGroupSection`: disks and systems that are to lie on one kind of storage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorageGroup {
    /// The name by which others refer to it.
    pub id: String,
    /// Its name to people.
    pub name: String,
    /// More about it.
    pub description: Option<String>,
    /// Where it was read.
    pub origin: Origin,
}

/// `vmw:IpAssignmentSection`: how a system can get its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpAssignment {
    /// `ovfenv`: from the environment; `dhcp`: by DHCP.
    pub schemes: Vec<String>,
    /// `IPv4`, `IPv6`.
    pub protocols: Vec<String>,
    /// Where it was read.
    pub origin: Origin,
}

/// `vmw:BootOrderSection`: one device of the boot order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootOrder {
    /// The device's number in the hardware section.
    pub instance_id: String,
    /// Its kind: `disk`, `cdrom`, `ethernet`, `floppy`.
    pub kind: String,
    /// Where it was read.
    pub origin: Origin,
}

fn field(element: Element<'_>, name: &str) -> String {
    let value = element
        .attribute(VMW, name)
        .or_else(|| super::element::attribute(element, name));
    value.unwrap_or_default().to_owned()
}

fn list(element: Element<'_>, name: &str) -> Vec<String> {
    let text = field(element, name);
    let words = text
        .split([',', ' '])
        .map(str::trim)
        .filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

impl StorageGroup {
    pub(super) fn read(element: Element<'_>) -> Self {
        let description = element
            .children()
            .find(|child| child.local_name() == "Description");
        StorageGroup {
            id: field(element, "id"),
            name: field(element, "name"),
            description: description.map(Element::text),
            origin: element.position().into(),
        }
    }
}

impl IpAssignment {
    pub(super) fn read(element: Element<'_>) -> Self {
        IpAssignment {
            schemes: list(element, "schemes"),
            protocols: list(element, "protocols"),
            origin: element.position().into(),
        }
    }
}

impl BootOrder {
    pub(super) fn read(element: Element<'_>) -> Self {
        BootOrder {
            instance_id: field(element, "instanceId"),
            kind: field(element, "type"),
            origin: element.position().into(),
        }
    }
}
