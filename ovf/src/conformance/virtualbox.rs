//! Rules of VirtualBox, as its reader applies them (`src/VBox/Main/xml/ovfreader.cpp`).

use std::collections::HashMap;

use super::{Findings, Profile, Rule, Subject};
use crate::descriptor::{Item, ResourceType};

const SOURCE: &str = "VirtualBox, src/VBox/Main/xml/ovfreader.cpp, OVFReader::handleVirtualSystemContent";

const MEMORY: Rule = Rule::error(
    "virtualbox.memory-units",
    "Memory counts in one of the units that VirtualBox knows.",
)
.of(Profile::VirtualBox)
.because(
    "It knows byte * 2^20, MegaBytes, MB, byte * 2^30, GigaBytes and GB, letter by letter.",
    SOURCE,
)
.fix("Use byte * 2^20.")
.samples(
    "<rasd:AllocationUnits>byte*2^20</rasd:AllocationUnits>",
    "<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>",
);
const TYPE: Rule = Rule::error(
    "virtualbox.resource-type",
    "A device of a kind that VirtualBox does not know is not required.",
)
.of(Profile::VirtualBox)
.because(
    "It stops with \"Unknown resource type\" for a required one, and leaves others out.",
    SOURCE,
)
.fix("Add ovf:required=\"false\" to the Item.")
.samples(
    "<rasd:ResourceType>24</rasd:ResourceType>",
    "<rasd:ResourceType>6</rasd:ResourceType>",
);
const STORAGE: Rule = Rule::error("virtualbox.storage-controller", "A controller of type 20 is AHCI, Virtio-SCSI or NVMe.")
    .of(Profile::VirtualBox)
    .because("It stops at any other subtype.", SOURCE)
    .samples(
        "<rasd:ResourceSubType>lsilogic</rasd:ResourceSubType>\n        <rasd:ResourceType>20</rasd:ResourceType>",
        "<rasd:ResourceSubType>lsilogic</rasd:ResourceSubType>\n        <rasd:ResourceType>6</rasd:ResourceType>",
    );
const PARENT: Rule = Rule::error(
    "virtualbox.disk-parent",
    "A disk or CD drive hangs on an IDE, SCSI or SATA controller.",
)
.of(Profile::VirtualBox)
.because("It stops with \"specifies invalid parent\".", SOURCE)
.samples(
    "<rasd:Parent>1</rasd:Parent>\n        <rasd:ResourceType>17</rasd:ResourceType>",
    "<rasd:Parent>3</rasd:Parent>\n        <rasd:ResourceType>17</rasd:ResourceType>",
);

pub(super) const RULES: &[&Rule] = &[&MEMORY, &TYPE, &STORAGE, &PARENT];

const MEMORY_UNITS: [&str; 6] = ["MegaBytes", "MB", "byte * 2^20", "GigaBytes", "GB", "byte * 2^30"];
const SUBTYPES: [&str; 6] = [
    "ahci",
    "vmware.sata.ahci",
    "virtioscsi",
    "virtio-scsi",
    "nvme",
    "vmware.nvme.controller",
];
const SOUND_CARD: ResourceType = ResourceType(35);
const KNOWN: [ResourceType; 12] = [
    ResourceType::PROCESSOR,
    ResourceType::MEMORY,
    ResourceType::IDE_CONTROLLER,
    ResourceType::SCSI_CONTROLLER,
    ResourceType::ETHERNET,
    ResourceType::FLOPPY,
    ResourceType::CD_DRIVE,
    ResourceType::DVD_DRIVE,
    ResourceType::DISK,
    ResourceType::OTHER_STORAGE,
    ResourceType::USB_CONTROLLER,
    SOUND_CARD,
];
const CONTROLLERS: [ResourceType; 3] = [
    ResourceType::IDE_CONTROLLER,
    ResourceType::SCSI_CONTROLLER,
    ResourceType::OTHER_STORAGE,
];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    for system in subject.descriptor.systems() {
        for hardware in &system.hardware {
            let kinds = hardware
                .items
                .iter()
                .map(|it| (it.instance_id.as_str(), it.resource_type));
            let kinds = kinds.collect();
            for item in &hardware.items {
                one(item, &kinds, findings);
            }
        }
    }
}

fn one(item: &Item, kinds: &HashMap<&str, Option<ResourceType>>, findings: &mut Findings) {
    let Some(kind) = item.resource_type else {
        return;
    };
    let sub_type = item.resource_sub_type.as_deref().unwrap_or_default();
    let units = item.allocation_units.as_deref().unwrap_or_default();
    if kind == ResourceType::MEMORY && !MEMORY_UNITS.contains(&units) {
        findings.add(&MEMORY, item.origin, format!("memory counts in {units:?}"));
    }
    if !KNOWN.contains(&kind) && item.required {
        let message = format!("resource type {} is required and not known", kind.0);
        findings.add(&TYPE, item.origin, message);
    }
    let known = SUBTYPES.iter().any(|it| it.eq_ignore_ascii_case(sub_type));
    if kind == ResourceType::OTHER_STORAGE && !known {
        findings.add(
            &STORAGE,
            item.origin,
            format!("subtype {sub_type:?} of a controller is not known"),
        );
    }
    if [ResourceType::DISK, ResourceType::CD_DRIVE].contains(&kind) {
        let parent = item
            .parent
            .as_deref()
            .and_then(|id| kinds.get(id).copied().flatten());
        let fits = parent.is_some_and(|it| CONTROLLERS.contains(&it));
        if !fits {
            let message = format!(
                "instance {:?} has parent {:?}",
                item.instance_id,
                item.parent.as_deref().unwrap_or("")
            );
            findings.add(&PARENT, item.origin, message);
        }
    }
}
