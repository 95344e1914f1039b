//! Rules of VMware's importers: ESXi, vCenter, ovftool.

use super::{Findings, Profile, Rule, Subject};
use crate::descriptor::ItemClass;

const FAMILY: Rule = Rule::error("esxi.hardware-family", "VirtualSystemType lists a vmx version.")
    .of(Profile::Esxi)
    .because(
        "The import stops with \"Unsupported hardware family\".",
        "https://github.com/owncloud-archive/vm/issues/53, https://github.com/home-assistant/operating-system/issues/3163",
    )
    .fix("Add vmx-11 or newer to the list; older hosts know no newer ones.")
    .samples(
        "<vssd:VirtualSystemType>virtualbox-2.2</vssd:VirtualSystemType>",
        "<vssd:VirtualSystemType>vmx-14 virtualbox-2.2</vssd:VirtualSystemType>",
    );
const ITEM: Rule = Rule::error("esxi.item-class", "Every device is an Item.")
    .of(Profile::Esxi)
    .because(
        "The import stops with \"Unsupported element 'StorageItem'\" (or 'EthernetPortItem').",
        "https://github.com/myspaghetti/macos-virtualbox/issues/300, https://github.com/BlackArch/blackarch/issues/1937",
    )
    .fix("Export as OVF 1.0 or 1.1.")
    .samples("<StorageItem>…</StorageItem>", "<Item>…</Item>");

pub(super) const RULES: &[&Rule] = &[&FAMILY, &ITEM];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    for system in subject.descriptor.systems() {
        for hardware in &system.hardware {
            let types = hardware.system.as_ref().map_or(&[][..], |it| &it.system_types);
            if !types.iter().any(|family| family.starts_with("vmx-")) {
                let message = format!("hardware families are {types:?}, none of them vmx");
                findings.add(&FAMILY, hardware.origin, message);
            }
            for item in hardware.items.iter().filter(|it| it.class != ItemClass::Resource) {
                let message = format!("instance {:?} is no Item", item.instance_id);
                findings.add(&ITEM, item.origin, message);
            }
        }
    }
}
