//! BootDeviceSection: what a system boots from, in order (DSP0243 2.x, 9.12: CIM_BootConfigSetting).

use super::element::{cim, cim_text};
use crate::xml::{Element, Origin};

/// One way for a system to boot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootConfiguration {
    /// Its name to people.
    pub caption: Option<String>,
    /// More about it.
    pub description: Option<String>,
    /// Its number.
    pub instance_id: Option<String>,
    /// The devices, in the order that they are tried in.
    pub sources: Vec<BootSource>,
    /// Where it was read.
    pub origin: Origin,
}

/// A device to boot from: CIM_BootSourceSetting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootSource {
    /// Its name to people.
    pub caption: Option<String>,
    /// Its number.
    pub instance_id: Option<String>,
    /// The device, such as `CIM:Hard-Disk:1` (DSP1012 table 2).
    pub boot_string: Option<String>,
}

pub(super) fn read(section: Element<'_>) -> Vec<BootConfiguration> {
    cim(section, &["CIM_BootConfigSetting", "BootConfigSetting"])
        .map(|it| BootConfiguration {
            caption: cim_text(it, &["Caption"]),
            description: cim_text(it, &["Description"]),
            instance_id: cim_text(it, &["InstanceID"]),
            sources: cim(it, &["CIM_BootSourceSetting", "BootSourceSetting"])
                .map(|source| BootSource {
                    caption: cim_text(source, &["Caption"]),
                    instance_id: cim_text(source, &["InstanceID"]),
                    boot_string: cim_text(source, &["StructuredBootString", "BootString"]),
                })
                .collect(),
            origin: it.position().into(),
        })
        .collect()
}
