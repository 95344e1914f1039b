//! Rules of virt-v2v, by which packages get into libvirt (`input/OVF.ml`).

use std::collections::HashSet;

use super::{Findings, Profile, Rule, Subject};
use crate::descriptor::{Content, Dialect, Item, ResourceType, Units};

const SOURCE: &str = "virt-v2v, input/OVF.ml";

const NAMESPACE: Rule = Rule::error(
    "libvirt.namespace",
    "The envelope is in the namespace of OVF 1.x.",
)
.of(Profile::Libvirt)
.because(
    "virt-v2v looks for that one alone, and finds an empty machine in others.",
    SOURCE,
)
.samples(
    "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/2\"",
    "<Envelope xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\"",
);
const COLLECTION: Rule = Rule::error("libvirt.collection", "The envelope holds one VirtualSystem.")
    .of(Profile::Libvirt)
    .because("virt-v2v does not look inside a VirtualSystemCollection.", SOURCE)
    .samples(
        "<VirtualSystemCollection ovf:id=\"all\">\n  <Info>All</Info>\n  <VirtualSystem ovf:id=\"node\">…</VirtualSystem>\n  </VirtualSystemCollection>",
        "<VirtualSystem ovf:id=\"node\">…</VirtualSystem>",
    );
const DISK: Rule = Rule::error("libvirt.disk", "Every disk item leads to a disk with a file.")
    .of(Profile::Libvirt)
    .because(
        "virt-v2v stops at an empty disk, and at a HostResource that is not ovf:/disk/ID or /disk/ID.",
        SOURCE,
    )
    .samples(
        "<rasd:HostResource>ovf://disk/disk1</rasd:HostResource>",
        "<rasd:HostResource>ovf:/disk/disk1</rasd:HostResource>",
    );
const MEMORY: Rule = Rule::warning("libvirt.memory-units", "Memory counts in MiB.")
    .of(Profile::Libvirt)
    .because("virt-v2v takes the quantity for MiB, whatever the unit.", SOURCE)
    .samples(
        "<rasd:AllocationUnits>byte * 2^30</rasd:AllocationUnits>",
        "<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>",
    );

pub(super) const RULES: &[&Rule] = &[&NAMESPACE, &COLLECTION, &DISK, &MEMORY];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    let root = subject.document.root();
    if subject.descriptor.dialect != Dialect::V1 {
        let message = format!("the namespace is {}", root.namespace().unwrap_or_default());
        findings.at(&NAMESPACE, root, message);
    }
    if let Content::Collection(collection) = &subject.descriptor.content {
        let message = "the envelope holds a VirtualSystemCollection";
        findings.add(&COLLECTION, collection.origin, message);
    }
    let files = subject
        .descriptor
        .disks
        .iter()
        .filter(|disk| disk.file_ref.is_some());
    let with_file = files.map(|disk| disk.id.as_str()).collect();
    for system in subject.descriptor.systems() {
        for item in system.hardware.iter().flat_map(|it| &it.items) {
            one(&with_file, item, findings);
        }
    }
}

fn one(with_file: &HashSet<&str>, item: &Item, findings: &mut Findings) {
    if item.resource_type == Some(ResourceType::DISK) {
        let text = item
            .host_resources
            .first()
            .map(|it| it.trim())
            .unwrap_or_default();
        let id = text.strip_prefix("ovf:").unwrap_or(text).strip_prefix("/disk/");
        if id.is_none_or(|id| !with_file.contains(id)) {
            let message = format!("HostResource {text:?} leads to no disk with a file");
            findings.add(&DISK, item.origin, message);
        }
    }
    if item.resource_type == Some(ResourceType::MEMORY)
        && let Some(units) = item.allocation_units.as_deref()
        && Units::parse(units).is_ok_and(|units| units.numerator != units.denominator << 20)
    {
        findings.add(&MEMORY, item.origin, format!("memory counts in {units:?}"));
    }
}
