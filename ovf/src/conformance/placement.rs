//! Where elements stand: sections on their level, required parts inside them, and nothing that must be understood and
//! is not.

use super::{Findings, Rule};
use crate::descriptor::{Dialect, Hardware, SAVED_STATE, STRINGS, attribute, is_envelope, section_name};
use crate::xml::{Document, Element};

const PLACEMENT: Rule = Rule::error("descriptor.placement", "Each section stands on a level that it is for.")
    .because(
        "A consumer looks for disks and networks at the envelope, for hardware in a system; elsewhere they are lost.",
        "DSP0243 1.1.1, 9, table 4",
    )
    .fix("Move the section.")
    .samples(
        "</NetworkSection>\n  <AnnotationSection><Info>A remark</Info><Annotation>Lost</Annotation></AnnotationSection>",
        "</NetworkSection>",
    );
const UNKNOWN: Rule = Rule::error(
    "descriptor.unknown-required",
    "What is not the standard's says ovf:required=\"false\" unless it must be understood.",
)
.because(
    "A consumer that does not understand a section or item without it must refuse the package.",
    "DSP0243 1.1.1, 7.3",
)
.fix("Add ovf:required=\"false\" if the package works without it.")
.samples(
    "<x:Extra xmlns:x=\"urn:x\"><Info>Extra</Info></x:Extra>\n    <AnnotationSection>",
    "<AnnotationSection>",
);
const MISSING: &str = "descriptor.element-missing";
const VERSION: Rule = Rule::error(
    "descriptor.version",
    "ovf:version is one of the namespace's generation.",
)
.because(
    "A document that calls itself two versions is understood as neither.",
    "DSP0243 1.1.1, 7",
)
.fix("Remove ovf:version, or make it the namespace's.")
.samples("ovf:version=\"2.0\"", "ovf:version=\"1.0\"");

pub(super) const RULES: &[&Rule] = &[&PLACEMENT, &UNKNOWN, &VERSION];

/// The levels of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Envelope,
    Collection,
    System,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Envelope => "the envelope",
            Self::Collection => "a VirtualSystemCollection",
            Self::System => "a VirtualSystem",
        }
    }
}

/// The standard's sections and the levels that each is for (DSP0243 1.1.1 table 4; 2.1.1 table 5).
const SECTIONS: &[(&str, &[Level])] = {
    use Level::{Collection, Envelope, System};
    &[
        ("DiskSection", &[Envelope]),
        ("NetworkSection", &[Envelope]),
        ("DeploymentOptionSection", &[Envelope]),
        ("SharedDiskSection", &[Envelope]),
        ("EncryptionSection", &[Envelope]),
        ("PlacementGroupSection", &[Envelope]),
        ("ResourceAllocationSection", &[Collection]),
        ("StartupSection", &[Collection]),
        ("ScaleOutSection", &[Collection]),
        ("AnnotationSection", &[System, Collection]),
        ("ProductSection", &[System, Collection]),
        // Not in the table, and in VMware's own packages: a licence for the whole.
        ("EulaSection", &[System, Collection, Envelope]),
        ("PlacementSection", &[System, Collection]),
        ("VirtualHardwareSection", &[System]),
        ("OperatingSystemSection", &[System]),
        ("InstallSection", &[System]),
        ("EnvironmentFilesSection", &[System]),
        ("BootDeviceSection", &[System]),
    ]
};

/// The namespaces of vendors' sections that are understood: they are read, or carry nothing that a deployment depends on.
const UNDERSTOOD: &[&str] = &["http://www.vmware.com/schema/ovf", STRINGS, SAVED_STATE];

pub(super) fn check(document: &Document, findings: &mut Findings) {
    let root = document.root();
    let Some(dialect) = root.namespace().and_then(Dialect::of_namespace) else {
        return;
    };
    version(root, dialect, findings);
    if !root.children().any(|child| child.local_name() == "References") {
        missing(root, "References", findings);
    }
    level(root, Level::Envelope, findings);
}

fn version(root: Element<'_>, dialect: Dialect, findings: &mut Findings) {
    let Some(version) = attribute(root, "version") else {
        return;
    };
    let fits = match dialect {
        Dialect::V0_9 => version.starts_with("0.9"),
        Dialect::V1 => version.starts_with("1."),
        Dialect::V2 => version.starts_with('2'),
        Dialect::Ovirt => true,
    };
    if !fits {
        let message = format!(
            "version {:?} is not one of {}",
            version,
            root.namespace().unwrap_or_default()
        );
        findings.at(&VERSION, root, message);
    }
}

fn level(parent: Element<'_>, here: Level, findings: &mut Findings) {
    for child in parent.children() {
        let name = section_name(child);
        let standard = is_envelope(child);
        match (standard, name) {
            (true, "VirtualSystem") => {
                info(child, findings);
                level(child, Level::System, findings);
            }
            (true, "VirtualSystemCollection") => {
                info(child, findings);
                level(child, Level::Collection, findings);
            }
            (true, "References" | "Strings" | "Info" | "Name") => {}
            (true, _) => standard_section(child, name, here, findings),
            (false, _) => foreign_section(child, findings),
        }
    }
}

fn standard_section(section: Element<'_>, name: &str, here: Level, findings: &mut Findings) {
    let Some((_, levels)) = SECTIONS.iter().find(|(known, _)| *known == name) else {
        if is_required(section) {
            let message = format!("{name} is not a section of the standard, and has to be understood");
            findings.at(&UNKNOWN, section, message);
        }
        return;
    };
    if !levels.contains(&here) {
        let meant = levels
            .iter()
            .map(|level| level.name())
            .collect::<Vec<_>>()
            .join(" or ");
        findings.at(
            &PLACEMENT,
            section,
            format!("{name} stands in {}, and is for {meant}", here.name()),
        );
    }
    info(section, findings);
    for inner in section.children() {
        let item = matches!(inner.local_name(), "Item" | "StorageItem" | "EthernetPortItem");
        if item && name != "StartupSection" {
            for field in inner.children() {
                unknown_field(field, findings);
            }
        } else if inner.namespace().is_some_and(is_foreign) || is_unknown_section(inner) {
            unknown(inner, findings);
        }
    }
}

/// A section of an unknown name inside another.
fn is_unknown_section(element: Element<'_>) -> bool {
    element.local_name().ends_with("Section")
}

/// A field of an item that its CIM class has not.
fn unknown_field(field: Element<'_>, findings: &mut Findings) {
    let name = field.local_name();
    let unknown = match field.namespace() {
        Some(namespace) if namespace.contains("/CIM_") => !Hardware::knows_field(name),
        Some(namespace) => is_foreign(namespace),
        None => false,
    };
    if unknown && is_required(field) {
        let message = format!("{name} is not a field of an item that is known, and has to be understood");
        findings.at(&UNKNOWN, field, message);
    }
}

fn foreign_section(section: Element<'_>, findings: &mut Findings) {
    if section.namespace().is_some_and(is_foreign) {
        unknown(section, findings);
    }
}

fn unknown(element: Element<'_>, findings: &mut Findings) {
    if is_required(element) {
        let message = format!("{} has to be understood, and is not", element.local_name());
        findings.at(&UNKNOWN, element, message);
    }
}

fn is_foreign(namespace: &str) -> bool {
    let cim = "http://schemas.dmtf.org/wbem/wscim/";
    !UNDERSTOOD.contains(&namespace)
        && !namespace.starts_with(cim)
        && Dialect::of_namespace(namespace).is_none()
}

/// `ovf:required`: true unless said otherwise.
fn is_required(element: Element<'_>) -> bool {
    !matches!(attribute(element, "required").map(str::trim), Some("false" | "0"))
}

fn info(element: Element<'_>, findings: &mut Findings) {
    if !element.children().any(|child| child.local_name() == "Info") {
        missing(element, "Info", findings);
    }
}

fn missing(parent: Element<'_>, name: &str, findings: &mut Findings) {
    if let Some(rule) = super::rule(MISSING) {
        findings.at(rule, parent, format!("{} has no {name}", section_name(parent)));
    }
}
