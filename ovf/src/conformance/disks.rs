//! Rules about disks.

use std::collections::HashMap;

use super::{Findings, Rule, Subject};
use crate::descriptor::{Capacity, Disk, HostResource, STREAM_OPTIMIZED};

const FORMAT: Rule = Rule::error("disk.format-missing", "A disk with content names its format.")
    .because("Without it a consumer has to guess what the file holds.", "DSP0243 1.1.1, 9.1")
    .fix("Add ovf:format with the format's URI.")
    .samples(
        "<Disk ovf:diskId=\"disk1\" ovf:fileRef=\"file1\" ovf:capacity=\"8\"",
        "<Disk ovf:diskId=\"disk1\" ovf:fileRef=\"file1\" ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\" ovf:capacity=\"8\"",
    );
const ORDER: Rule = Rule::error("disk.order", "Disks are in the order of their files.")
    .because(
        "A consumer that reads an archive in one pass meets the files in the order of the References.",
        "DSP0243 1.1.1, 9.1",
    )
    .fix("Bring the Disk elements, or the files, into one order.")
    .samples(
        "ovf:fileRef=\"file2\"…ovf:fileRef=\"file1\"",
        "ovf:fileRef=\"file1\"…ovf:fileRef=\"file2\"",
    );
const UNITS: Rule = Rule::error(
    "disk.units",
    "A disk's capacity is a whole number of bytes below 2^64.",
)
.because(
    "Otherwise no disk of that size can be made.",
    "DSP0243 1.1.1, 9.1; DSP0004 annex C",
)
.samples(
    "ovf:capacityAllocationUnits=\"hertz * 10^6\"",
    "ovf:capacityAllocationUnits=\"byte * 2^30\"",
);
const POPULATED: Rule = Rule::warning("disk.populated-size", "No more of a disk is in use than it has.")
    .because("Importers reserve space by it.", "DSP0243 1.1.1, 9.1")
    .samples("ovf:populatedSize=\"99999999999\"", "ovf:populatedSize=\"500\"");
const PROPERTY: Rule = Rule::error(
    "disk.capacity-property",
    "A capacity of the form ${key} names a property.",
)
.because("The deployment takes the size from it.", "DSP0243 1.1.1, 9.1")
.samples("ovf:capacity=\"${size}\"", "ovf:capacity=\"16\"");
const UNUSED: Rule = Rule::note("disk.unused", "A hardware item has every disk.")
    .because(
        "A disk that no system has is shipped for nothing.",
        "DSP0243 1.1.1, 9.1",
    )
    .samples(
        "<Disk ovf:diskId=\"disk3\" ovf:capacity=\"1\"/>\n  </DiskSection>",
        "</DiskSection>",
    );
const PARENT: Rule = Rule::error("disk.parent-cycle", "A chain of delta disks ends at a whole one.")
    .because(
        "The content of a disk that is a difference to itself is nothing.",
        "DSP0243 1.1.1, 9.1",
    )
    .samples(
        "<Disk ovf:diskId=\"disk2\" ovf:parentRef=\"disk2\"",
        "<Disk ovf:diskId=\"disk2\"",
    );

pub(super) const RULES: &[&Rule] = &[&FORMAT, &ORDER, &UNITS, &POPULATED, &PROPERTY, &UNUSED, &PARENT];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    let descriptor = subject.descriptor;
    order(subject, findings);
    let shared = descriptor.shared_disks.iter().map(|shared| &shared.disk);
    for disk in descriptor.disks.iter().chain(shared) {
        one(subject, disk, findings);
    }
    let parents: HashMap<_, _> = descriptor
        .disks
        .iter()
        .map(|disk| (disk.id.as_str(), disk))
        .collect();
    for disk in &descriptor.disks {
        if is_in_cycle(disk, &parents) {
            findings.add(
                &PARENT,
                disk.origin,
                format!("disk {:?} is a difference to itself", disk.id),
            );
        }
    }
}

fn one(subject: &Subject<'_>, disk: &Disk, findings: &mut Findings) {
    let id = &disk.id;
    if disk.file_ref.is_some() && disk.format.as_deref().is_none_or(str::is_empty) {
        let message = format!("disk {id:?} has a file and no format, such as {STREAM_OPTIMIZED}");
        findings.add(&FORMAT, disk.origin, message);
    }
    match disk.capacity_in_bytes() {
        Err(error) => findings.add(&UNITS, disk.origin, error.reason().to_owned()),
        Ok(Some(capacity)) if disk.populated_size.is_some_and(|used| used > capacity) => {
            let used = disk.populated_size.unwrap_or_default();
            let message = format!("disk {id:?} has {capacity} bytes, of which {used} would be in use");
            findings.add(&POPULATED, disk.origin, message);
        }
        Ok(_) => {}
    }
    if let Capacity::Property(key) = &disk.capacity {
        let known = subject.descriptor.properties();
        if !known
            .iter()
            .any(|(whole, property)| whole == key || property.key == *key)
        {
            findings.add(
                &PROPERTY,
                disk.origin,
                format!("disk {id:?}: there is no property {key:?}"),
            );
        }
    }
    if !id.is_empty() && !is_used(subject, id) {
        findings.add(&UNUSED, disk.origin, format!("no hardware item has disk {id:?}"));
    }
}

fn is_used(subject: &Subject<'_>, id: &str) -> bool {
    let child = subject
        .descriptor
        .disks
        .iter()
        .any(|disk| disk.parent_ref.as_deref() == Some(id));
    let systems = subject.descriptor.systems();
    let items = systems
        .iter()
        .flat_map(|it| &it.hardware)
        .flat_map(|it| &it.items);
    let mut resources = items.flat_map(|item| &item.host_resources);
    child || resources.any(|text| HostResource::parse(text) == HostResource::Disk(id.to_owned()))
}

fn order(subject: &Subject<'_>, findings: &mut Findings) {
    let places: HashMap<_, _> = subject
        .descriptor
        .files
        .iter()
        .map(|file| file.id.as_str())
        .zip(0..)
        .collect();
    let mut latest = 0;
    for disk in &subject.descriptor.disks {
        let Some(place) = disk.file_ref.as_deref().and_then(|id| places.get(id)) else {
            continue;
        };
        if *place < latest {
            let message = format!("disk {:?} comes after one whose file is behind its own", disk.id);
            return findings.add(&ORDER, disk.origin, message);
        }
        latest = *place;
    }
}

fn is_in_cycle(disk: &Disk, disks: &HashMap<&str, &Disk>) -> bool {
    let mut at = disk;
    for _ in 0..disks.len() {
        let Some(parent) = at.parent_ref.as_deref().and_then(|id| disks.get(id)) else {
            return false;
        };
        if parent.id == disk.id {
            return true;
        }
        at = parent;
    }
    false
}
