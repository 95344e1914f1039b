//! Rules about disks.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

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
    let known = Known {
        used: used(subject),
        properties: properties(subject),
    };
    for disk in descriptor.all_disks() {
        one(&known, disk, findings);
    }
    let parents: HashMap<_, _> = descriptor
        .disks
        .iter()
        .map(|disk| (disk.id.as_str(), disk))
        .collect();
    let mut whole = HashSet::new();
    for disk in &descriptor.disks {
        if is_in_cycle(disk, &parents, &mut whole) {
            findings.add(
                &PARENT,
                disk.origin,
                format!("disk {:?} is a difference to itself", disk.id),
            );
        }
    }
}

/// What a disk can be used by and refer to.
struct Known<'a> {
    used: HashSet<Cow<'a, str>>,
    properties: HashSet<Cow<'a, str>>,
}

/// The names of all properties, whole and short.
fn properties<'a>(subject: &Subject<'a>) -> HashSet<Cow<'a, str>> {
    let all = subject.descriptor.properties().into_iter();
    all.flat_map(|(whole, property)| [Cow::Owned(whole), Cow::Borrowed(property.key.as_str())])
        .collect()
}

fn one(known: &Known<'_>, disk: &Disk, findings: &mut Findings) {
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
    if let Capacity::Property(key) = &disk.capacity
        && !known.properties.contains(key.as_str())
    {
        findings.add(
            &PROPERTY,
            disk.origin,
            format!("disk {id:?}: there is no property {key:?}"),
        );
    }
    if !id.is_empty() && !known.used.contains(id.as_str()) {
        findings.add(&UNUSED, disk.origin, format!("no hardware item has disk {id:?}"));
    }
}

/// The disks that an item or another disk refers to.
fn used<'a>(subject: &Subject<'a>) -> HashSet<Cow<'a, str>> {
    let parents = subject
        .descriptor
        .disks
        .iter()
        .filter_map(|disk| disk.parent_ref.as_deref());
    let mut used: HashSet<_> = parents.map(Cow::Borrowed).collect();
    for system in subject.descriptor.systems() {
        let items = system.hardware.iter().flat_map(|it| &it.items);
        for text in items.flat_map(|item| &item.host_resources) {
            if let HostResource::Disk(id) = HostResource::parse(text) {
                used.insert(Cow::Owned(id));
            }
        }
    }
    used
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

/// Whether a disk's chain of parents leads back to itself; `whole` are the disks whose chain is known to end.
fn is_in_cycle<'a>(disk: &'a Disk, disks: &HashMap<&str, &'a Disk>, whole: &mut HashSet<&'a str>) -> bool {
    let mut chain = HashSet::new();
    let mut at = disk;
    while !whole.contains(at.id.as_str()) {
        if !chain.insert(at.id.as_str()) {
            return at.id == disk.id;
        }
        let Some(parent) = at.parent_ref.as_deref().and_then(|id| disks.get(id)) else {
            break;
        };
        at = parent;
    }
    whole.extend(chain);
    false
}
