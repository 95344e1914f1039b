//! Rules about virtual hardware.

use std::collections::HashMap;

use super::{Findings, Rule, Subject};
use crate::descriptor::{Hardware, Item, ResourceType, Units};

const TYPE: Rule = Rule::error("hardware.resource-type-missing", "Every item tells what kind of resource it is.")
    .because("An item without it describes nothing.", "DSP0243 1.1.1, 8.3")
    .fix("Add rasd:ResourceType.")
    .samples(
        "<rasd:InstanceID>1</rasd:InstanceID>\n        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>",
        "<rasd:InstanceID>1</rasd:InstanceID>\n        <rasd:ResourceType>3</rasd:ResourceType>\n        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>",
    );
const INSTANCE: Rule = Rule::error(
    "hardware.instance-id",
    "Two kinds of items do not share an instance number.",
)
.because(
    "Items of one number are variants of one device; a disk and a processor are not.",
    "DSP0243 1.1.1, 8.3 and 8.4",
)
.samples(
    "<rasd:InstanceID>2</rasd:InstanceID>",
    "<rasd:InstanceID>1</rasd:InstanceID>",
);
const QUANTITY: Rule = Rule::warning("hardware.quantity", "Processors and memory tell how much.")
    .because(
        "Without a quantity each importer takes a number of its own.",
        "DSP0243 1.1.1, 8.3",
    )
    .samples(
        "<rasd:ResourceType>3</rasd:ResourceType>\n        <rasd:VirtualQuantity>0</rasd:VirtualQuantity>",
        "<rasd:ResourceType>3</rasd:ResourceType>\n        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>",
    );
const UNITS: Rule = Rule::warning("hardware.units", "A unit of allocation is one of DSP0004's.")
    .because(
        "Another one is guessed, and guesses differ by factors of a million.",
        "DSP0004 2.5, annex C",
    )
    .samples(
        "<rasd:AllocationUnits>byte * 2^20th</rasd:AllocationUnits>",
        "<rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>",
    );
const ADDRESS: Rule = Rule::warning("hardware.address", "Two devices have two places on a controller.")
    .because(
        "One of them has to go elsewhere, and an importer may refuse both.",
        "DSP0243 1.1.1, 8.3",
    )
    .samples(
        "<rasd:AddressOnParent>0</rasd:AddressOnParent>\n        <rasd:ElementName>Disk 2</rasd:ElementName>",
        "<rasd:AddressOnParent>1</rasd:AddressOnParent>\n        <rasd:ElementName>Disk 2</rasd:ElementName>",
    );
const BOUND: Rule = Rule::error("hardware.bound", "ovf:bound is min, max or normal.")
    .because("A range has these three marks.", "DSP0243 1.1.1, 8.4")
    .samples("<Item ovf:bound=\"most\">", "<Item>");
const MISSING: Rule = Rule::note("hardware.missing", "A virtual system has a hardware section.")
    .because(
        "The standard lets it be absent; importers in the field want it to make a machine of.",
        "DSP0243 1.1.1, 8.1",
    )
    .samples(
        "<!-- <VirtualHardwareSection…</VirtualHardwareSection> -->",
        "<VirtualHardwareSection…</VirtualHardwareSection>",
    );

pub(super) const RULES: &[&Rule] = &[&TYPE, &INSTANCE, &QUANTITY, &UNITS, &ADDRESS, &BOUND, &MISSING];

pub(super) fn check(subject: &Subject<'_>, findings: &mut Findings) {
    for system in subject.descriptor.systems() {
        if system.hardware.is_empty() {
            let message = format!("system {:?} has no hardware section", system.id);
            findings.add(&MISSING, system.origin, message);
        }
        for hardware in &system.hardware {
            section(hardware, findings);
        }
    }
}

fn section(hardware: &Hardware, findings: &mut Findings) {
    for item in &hardware.items {
        one(item, findings);
    }
    let mut kinds: HashMap<&str, ResourceType> = HashMap::new();
    let mut places: HashMap<(&str, &str, &Option<String>), &str> = HashMap::new();
    for item in &hardware.items {
        let Some(kind) = item.resource_type else {
            continue;
        };
        let id = item.instance_id.as_str();
        if !id.is_empty() && *kinds.entry(id).or_insert(kind) != kind {
            let message = format!("instance {id:?} is of two resource types");
            findings.add(&INSTANCE, item.origin, message);
        }
        let (Some(parent), Some(address)) = (&item.parent, &item.address_on_parent) else {
            continue;
        };
        let first = places.entry((parent, address, &item.configuration)).or_insert(id);
        if *first != id {
            let message =
                format!("instances {first:?} and {id:?} are both at {address} of controller {parent}");
            findings.add(&ADDRESS, item.origin, message);
        }
    }
}

fn one(item: &Item, findings: &mut Findings) {
    let shown = if item.element_name.is_empty() {
        &item.instance_id
    } else {
        &item.element_name
    };
    let Some(kind) = item.resource_type else {
        return findings.add(&TYPE, item.origin, format!("item {shown:?} has no ResourceType"));
    };
    if let Some(bound) = item.bound.as_deref()
        && !matches!(bound, "min" | "max" | "normal")
    {
        findings.add(
            &BOUND,
            item.origin,
            format!("bound {bound:?} is none of min, max, normal"),
        );
    }
    let counted = [ResourceType::PROCESSOR, ResourceType::MEMORY].contains(&kind);
    if counted && item.virtual_quantity.unwrap_or(0) == 0 {
        findings.add(&QUANTITY, item.origin, format!("item {shown:?} has no quantity"));
    }
    if let Some(units) = item.allocation_units.as_deref()
        && let Err(error) = Units::parse(units)
    {
        findings.add(&UNITS, item.origin, error.reason().to_owned());
    }
}
