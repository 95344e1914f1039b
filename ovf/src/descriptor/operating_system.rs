//! OperatingSystemSection: the guest's system (DSP0243 9.9).

use super::VMW;
use super::attributes::Attributes;
use super::element::{Faults, child_text, number, optional_text, owned, required};
use super::text::Text;
use crate::xml::{Element, Origin, Writer};

/// The operating system of a virtual system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperatingSystem {
    /// Its number in `CIM_OperatingSystem.OsType`: 36 is Linux, 101 Linux of 64 bits.
    pub id: u16,
    /// Its version.
    pub version: Option<String>,
    /// VMware's name for it, such as `other5xLinux64Guest`.
    pub vmw_os_type: Option<String>,
    /// What the section is for, to people whose tool does not know it.
    pub info: Text,
    /// Its name to people.
    pub description: Option<Text>,
    /// Where it was read.
    pub origin: Origin,
}

pub(super) fn read(element: Element<'_>, faults: &mut Faults) -> OperatingSystem {
    required(element, "id", faults);
    OperatingSystem {
        id: number(element, "id", faults).unwrap_or_default(),
        version: owned(element, "version"),
        vmw_os_type: element.attribute(VMW, "osType").map(str::to_owned),
        info: child_text(element, "Info"),
        description: optional_text(element, "Description"),
        origin: element.position().into(),
    }
}

impl OperatingSystem {
    pub(super) fn write(&self, writer: &mut Writer) {
        let attributes = Attributes::new()
            .with("ovf:id", self.id)
            .maybe("ovf:version", self.version.as_ref())
            .maybe("vmw:osType", self.vmw_os_type.as_ref());
        writer.element("OperatingSystemSection", &attributes.pairs(), |writer| {
            self.info.write("Info", writer);
            if let Some(text) = &self.description {
                text.write("Description", writer);
            }
        });
    }
}
