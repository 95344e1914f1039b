//! OperatingSystemSection: the guest's system (DSP0243 9.12).

use super::VMW;
use super::attributes::Attributes;
use super::element::{attribute, child_text, not_a, optional_text, required};
use crate::error::Error;
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
    pub info: String,
    /// Its name to people.
    pub description: Option<String>,
    /// Where it was read.
    pub origin: Origin,
}

pub(super) fn read(element: Element<'_>) -> Result<OperatingSystem, Error> {
    let id = required(element, "id")?;
    Ok(OperatingSystem {
        id: id
            .trim()
            .parse()
            .map_err(|_| not_a(element, "id", "number of an operating system", id))?,
        version: attribute(element, "version").map(str::to_owned),
        vmw_os_type: element.attribute(VMW, "osType").map(str::to_owned),
        info: child_text(element, "Info"),
        description: optional_text(element, "Description"),
        origin: element.position().into(),
    })
}

impl OperatingSystem {
    pub(super) fn write(&self, writer: &mut Writer) {
        let attributes = Attributes::new()
            .with("ovf:id", self.id)
            .maybe("ovf:version", self.version.as_ref())
            .maybe("vmw:osType", self.vmw_os_type.as_ref());
        writer.element("OperatingSystemSection", &attributes.pairs(), |writer| {
            writer.text("Info", &[], &self.info);
            if let Some(text) = &self.description {
                writer.text("Description", &[], text);
            }
        });
    }
}
