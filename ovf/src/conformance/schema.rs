//! The published schema as a lint: what DSP8023 1.1.1 would refuse and the field writes nevertheless.

use super::{Findings, Rule};
use crate::descriptor::{Dialect, section_name};
use crate::xml::{Document, Element};

const ORDER: Rule = Rule::note("schema.order", "Elements stand in the schema's order.")
    .because(
        "A schema-checking editor or pipeline refuses them; importers in the field do not mind.",
        "DSP8023 1.1.1",
    )
    .samples(
        "<Name>Node</Name>\n    <Info>A system</Info>",
        "<Info>A system</Info>\n    <Name>Node</Name>",
    );
const ELEMENT: Rule = Rule::note(
    "schema.element",
    "Elements in the standard's namespace are the standard's.",
)
.because(
    "A misspelt element says nothing to any consumer.",
    "DSP8023 1.1.1",
)
.samples("<Licence>Free</Licence>", "<License>Free</License>");

pub(super) const RULES: &[&Rule] = &[&ORDER, &ELEMENT];

/// The children of each element in their order; sections of one level have one place.
const CHILDREN: &[(&str, &[&str])] = &[
    (
        "Envelope",
        &[
            "References",
            "Section",
            "VirtualSystem",
            "VirtualSystemCollection",
            "Strings",
        ],
    ),
    ("References", &["File"]),
    ("DiskSection", &["Info", "Disk"]),
    ("NetworkSection", &["Info", "Network"]),
    ("Network", &["Description"]),
    ("VirtualSystem", &["Info", "Name", "Section"]),
    (
        "VirtualSystemCollection",
        &[
            "Info",
            "Name",
            "Section",
            "VirtualSystem",
            "VirtualSystemCollection",
        ],
    ),
    ("AnnotationSection", &["Info", "Annotation"]),
    ("EulaSection", &["Info", "License"]),
    ("OperatingSystemSection", &["Info", "Description"]),
    ("VirtualHardwareSection", &["Info", "System", "Item"]),
    ("ResourceAllocationSection", &["Info", "Item"]),
    ("StartupSection", &["Info", "Item"]),
    ("InstallSection", &["Info"]),
    ("DeploymentOptionSection", &["Info", "Configuration"]),
    ("Configuration", &["Label", "Description"]),
    ("Property", &["Label", "Description", "Value"]),
    ("Strings", &["Msg"]),
];

pub(super) fn check(document: &Document, findings: &mut Findings) {
    let root = document.root();
    // OVF 2.x and the drafts have schemas of their own.
    if root.namespace().and_then(Dialect::of_namespace) == Some(Dialect::V1) {
        element(root, findings);
    }
}

fn element(parent: Element<'_>, findings: &mut Findings) {
    let name = parent.local_name();
    let order = CHILDREN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, order)| *order);
    let mut latest = 0;
    for child in parent.children() {
        if !child
            .namespace()
            .is_some_and(|it| Dialect::of_namespace(it) == Some(Dialect::V1))
        {
            continue;
        }
        if let Some(order) = order {
            let kind = kind_of(child, order);
            match order.iter().position(|known| *known == kind) {
                // Content elements may alternate.
                Some(place) if place < latest && !kind.starts_with("VirtualSystem") => {
                    let message = format!("{} stands after {} in {name}", section_name(child), order[latest]);
                    findings.at(&ORDER, child, message);
                }
                Some(place) => latest = place,
                None => {
                    let message = format!("{} has no {} in the schema", name, child.local_name());
                    findings.at(&ELEMENT, child, message);
                }
            }
        }
        // The document's own ceiling on depth bounds the recursion.
        element(child, findings);
    }
}

fn kind_of<'a>(child: Element<'a>, order: &[&str]) -> &'a str {
    let name = child.local_name();
    if name.ends_with("Section") && order.contains(&"Section") {
        return "Section";
    }
    name
}
