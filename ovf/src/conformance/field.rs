//! Descriptors that other people's tools wrote, VMware's own test inputs among them.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::*;
use crate::fixture::corpus;
use crate::xml::{NodeId, bytes_of};

/// What a consumer must refuse, and the rule for its own fault.
const REFUSED: &[(&str, &str)] = &[
    (
        "AnnotationSection/Neg/ann_sec_elsewhr.ovf",
        "descriptor.placement",
    ),
    (
        "AnnotationSection_1_0/Neg/ann_sec_elsewhr.ovf",
        "descriptor.placement",
    ),
    ("DiskSection/Neg/no_capacity.ovf", "descriptor.attribute-missing"),
    ("DiskSection/Neg/no_format.ovf", "disk.format-missing"),
    ("DiskSection_1_0/Neg/dup_diskid.ovf", "descriptor.duplicate"),
    ("DiskSection_1_0/Neg/dup_filerefs.ovf", "descriptor.duplicate"),
    ("DiskSection_1_0/Neg/inside_content.ovf", "descriptor.placement"),
    (
        "DiskSection_1_0/Neg/no_capacity.ovf",
        "descriptor.attribute-missing",
    ),
    (
        "DiskSection_1_0/Neg/no_diskid.ovf",
        "descriptor.attribute-missing",
    ),
    ("DiskSection_1_0/Neg/not_in_order_disks.ovf", "disk.order"),
    ("Envelope/Neg/bare_minimal.ovf", "descriptor.element-missing"),
    (
        "Envelope/Neg/content_vmwithnoid.ovf",
        "descriptor.attribute-missing",
    ),
    ("Envelope/Neg/content_withnovm.ovf", "descriptor.unknown-required"),
    ("Envelope/Neg/fileelements_samefile.ovf", "descriptor.duplicate"),
    ("Envelope/Neg/invalid_env.ovf", "descriptor.namespace"),
    ("Envelope/Neg/invalid_neg_chunk.ovf", "descriptor.value"),
    ("Envelope/Neg/invalid_no_file_in_ref.ovf", "descriptor.reference"),
    ("Envelope/Neg/invalid_no_ref.ovf", "descriptor.element-missing"),
    ("Envelope/Neg/invalid_ref_dup_id.ovf", "descriptor.duplicate"),
    ("Envelope/Neg/invalid_ref_id.ovf", "descriptor.attribute-missing"),
    ("Envelope/Neg/invalid_version.ovf", "descriptor.version"),
    ("Envelope/Neg/no_content.ovf", "descriptor.element-missing"),
    (
        "Envelope/Neg/section_compatibility_neg.ovf",
        "descriptor.unknown-required",
    ),
    (
        "Envelope/Neg/section_withnoinfo.ovf",
        "descriptor.element-missing",
    ),
    ("Envelope_1_0/Neg/bare_minimal.ovf", "descriptor.element-missing"),
    (
        "Envelope_1_0/Neg/content_withnovm.ovf",
        "descriptor.unknown-required",
    ),
    (
        "Envelope_1_0/Neg/fileelements_samefile.ovf",
        "descriptor.duplicate",
    ),
    ("Envelope_1_0/Neg/invalid_namespace.ovf", "descriptor.namespace"),
    (
        "Envelope_1_0/Neg/invalid_no_ref.ovf",
        "descriptor.element-missing",
    ),
    ("Envelope_1_0/Neg/invalid_no_vm.ovf", "descriptor.element-missing"),
    (
        "Envelope_1_0/Neg/invalid_ref_no_href.ovf",
        "descriptor.attribute-missing",
    ),
    (
        "Envelope_1_0/Neg/invalid_version.ovf",
        "descriptor.element-missing",
    ),
    ("Envelope_1_0/Neg/no_content.ovf", "descriptor.element-missing"),
    ("NetworkSection/Neg/net_sec_elsewhr.ovf", "descriptor.placement"),
    ("NetworkSection/Neg/no_net.ovf", "descriptor.reference"),
    ("NetworkSection_1_0/Neg/no_net.ovf", "descriptor.reference"),
    ("ProductSection/Neg/prop_dup_keys.ovf", "xml.namespace"),
    ("ProductSection/Neg/prop_invalid_type.ovf", "xml.namespace"),
    ("ProductSection/Neg/prop_no_key.ovf", "xml.namespace"),
    ("ProductSection_1_0/Neg/dup_prodsec.ovf", "descriptor.duplicate"),
    ("ProductSection_1_0/Neg/prop_dup_keys.ovf", "descriptor.duplicate"),
    ("ProductSection_1_0/Neg/prop_invalid_type.ovf", "property.type"),
    (
        "ProductSection_1_0/Neg/prop_no_key.ovf",
        "descriptor.attribute-missing",
    ),
    ("RASection/Neg/ras_sec_elsewhr.ovf", "descriptor.placement"),
    ("VirtualHardware/Neg/dup_instanceid.ovf", "hardware.instance-id"),
    ("VirtualHardware/Neg/empty_item.ovf", "descriptor.element-missing"),
    (
        "VirtualHardware/Neg/no_resourcetype.ovf",
        "hardware.resource-type-missing",
    ),
    ("VirtualHardware/Neg/noninteger_range.ovf", "descriptor.value"),
    ("VirtualHardware/Neg/vh_under_env.ovf", "descriptor.placement"),
    (
        "VirtualHardware_1_0/Neg/child_uitem_req_true.ovf",
        "descriptor.unknown-required",
    ),
    (
        "VirtualHardware_1_0/Neg/child_uitem_req_unspec.ovf",
        "descriptor.unknown-required",
    ),
    ("VirtualHardware_1_0/Neg/empty_system.ovf", "xml.namespace"),
    (
        "VirtualHardware_1_0/Neg/invalid_multiple_vh.ovf",
        "descriptor.element-missing",
    ),
    (
        "VirtualHardware_1_0/Neg/no_instanceid.ovf",
        "descriptor.element-missing",
    ),
    (
        "VirtualHardware_1_0/Neg/no_resourcetype.ovf",
        "hardware.resource-type-missing",
    ),
    ("VirtualHardware_1_0/Neg/vh_under_env.ovf", "descriptor.placement"),
];

/// What a consumer must refuse for more than a descriptor says, or what this reader rightly accepts.
const ACCEPTED: &[(&str, &str)] = &[
    (
        "DiskSection/Neg/invalid_createType_disk.ovf",
        "the fault is inside the disk",
    ),
    (
        "DiskSection/Neg/invalid_delta_reference_disk.ovf",
        "the fault is inside the disk",
    ),
    (
        "DiskSection_1_0/Neg/invalid_createType_disk.ovf",
        "the fault is inside the disk",
    ),
    (
        "DiskSection_1_0/Neg/invalid_delta_reference_disk.ovf",
        "the fault is inside the disk",
    ),
    (
        "Envelope/Neg/gzip_compression.ovf",
        "the fault is inside the compressed file",
    ),
    (
        "Envelope/Neg/invalid_ref_size_neg.ovf",
        "the file's size is 0, which the accepted ones have too",
    ),
    (
        "Envelope_1_0/Neg/invalid_ref_size_neg.ovf",
        "the file's size is 0, which the accepted ones have too",
    ),
    (
        "Envelope_1_0/Neg/invalid_ref_size_null.ovf",
        "ovf:size is optional",
    ),
    (
        "Envelope_1_0/Neg/invalid_no_version.ovf",
        "OVF 1.x has no version attribute",
    ),
    (
        "HttpLocators/Neg/valid_no_disk_in_server.ovf",
        "the fault is a file missing on a server",
    ),
    (
        "Options/Neg/nvm001.ovf",
        "sound: it failed by an option of a command",
    ),
    (
        "VirtualHardware/Neg/no_vh.ovf",
        "a hardware section is not required (a note tells of it)",
    ),
    (
        "VirtualHardware_1_0/Neg/no_vh.ovf",
        "a hardware section is not required (a note tells of it)",
    ),
    (
        "VirtualHardware_1_0/Neg/maxwith_nonormal.ovf",
        "its ovf:bound is lost, and nothing else is wrong",
    ),
];

/// What a consumer must accept, but for the one file whose prefix no namespace-aware reader can take.
const REFUSABLE: &str = "VirtualHardware_1_0/Pos/item_msgid_elename.ovf";

/// The rules by which a descriptor is refused; one about a file's name is not among them.
fn refusals(bytes: &[u8]) -> Vec<&'static str> {
    let findings = examine(bytes, &[]);
    let errors = findings.iter().filter(|it| it.rule.severity == Severity::Error);
    errors.map(|it| it.rule.id).collect()
}

fn files(corpus: &Path) -> Vec<(String, String)> {
    let index = std::fs::read_to_string(corpus.join("INDEX.tsv")).unwrap();
    let fields = index
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>());
    let files = fields.filter(|fields| fields[0].ends_with(".ovf"));
    files
        .map(|fields| (fields[0].to_owned(), fields[3].to_owned()))
        .collect()
}

#[test]
fn each_descriptor_that_must_be_refused_is_refused_by_the_rule_for_its_fault_and_the_others_are_accepted() {
    let Some(corpus) = corpus() else { return };
    let mut counts = BTreeMap::<String, (usize, usize)>::new();
    let mut wrong = Vec::new();
    for (path, verdict) in files(&corpus) {
        let found = refusals(&std::fs::read(corpus.join(&path)).unwrap());
        let count = counts.entry(verdict.clone()).or_default();
        count.0 += 1;
        count.1 += usize::from(found.is_empty());
        let of = |table: &[(&'static str, &'static str)]| {
            let row = table.iter().find(|(name, _)| path.ends_with(&format!("/{name}")));
            row.map(|(_, what)| *what)
        };
        let right = match verdict.as_str() {
            "pos" => found.is_empty() || path.ends_with(REFUSABLE),
            "neg" => match (of(REFUSED), of(ACCEPTED)) {
                (Some(rule), None) => found.contains(&rule),
                (None, Some(_)) => found.is_empty(),
                _ => false,
            },
            _ => true,
        };
        if !right {
            wrong.push(format!("{path}: {found:?}"));
        }
    }
    for (verdict, (all, accepted)) in &counts {
        println!("{verdict:?}: {all} descriptors, {accepted} accepted");
    }
    assert_eq!(wrong, [""; 0]);
    assert!(ACCEPTED.len() <= 14);
    assert_eq!(counts["neg"], (REFUSED.len() + ACCEPTED.len(), ACCEPTED.len()));
    assert!(
        counts["pos"].0 >= 95 && counts.values().map(|it| it.0).sum::<usize>() >= 470,
        "{counts:?}"
    );
}

#[test]
fn every_well_formed_descriptor_renders_as_it_was_and_again_after_each_property_was_changed_and_changed_back()
{
    let Some(corpus) = corpus() else { return };
    let (mut documents, mut properties) = (0, 0);
    for (path, _) in files(&corpus) {
        let bytes = std::fs::read(corpus.join(&path)).unwrap();
        let Ok(mut document) = Document::parse(&bytes) else {
            continue;
        };
        assert_eq!(document.render(), bytes, "{path}");
        documents += 1;
        let mut found = Vec::new();
        collect(document.root(), &mut found);
        for property in found {
            change_and_back(&mut document, &property);
            properties += 1;
        }
        assert!(!document.is_changed(), "{path}");
        assert_eq!(document.render(), bytes, "{path}");
    }
    println!("{documents} documents as they were; {properties} properties changed and changed back");
    assert!(documents >= 465 && properties >= 380, "{documents}, {properties}");
}

/// A property, its value's namespace, and its value.
type Found = (NodeId, String, Option<String>);

fn collect(element: Element<'_>, found: &mut Vec<Found>) {
    if element.local_name() == "Property" {
        let value = element.attributes().iter().find(|it| it.name.local == "value");
        let key = element.attributes().iter().find(|it| it.name.local == "key");
        let namespace = value
            .or(key)
            .and_then(|it| it.name.namespace.as_deref())
            .unwrap_or("");
        found.push((
            element.node().id(),
            namespace.to_owned(),
            value.map(|it| it.value.clone()),
        ));
    }
    for child in element.children() {
        collect(child, found);
    }
}

fn change_and_back(document: &mut Document, (node, namespace, value): &Found) {
    let before = document.render();
    let new = "changed <\"&'> value";
    document.set_attribute(*node, namespace, "value", new).unwrap();
    let changed = document.render();
    assert_ne!(changed, before);
    let text = String::from_utf8(changed).unwrap();
    assert!(text.contains("=\"changed &lt;&quot;&amp;&apos;&gt; value\"") || text.contains("'changed &lt;"));
    assert!(Document::parse(text.as_bytes()).is_ok());
    match value {
        Some(old) => document.set_attribute(*node, namespace, "value", old).unwrap(),
        None => document.remove_attribute(*node, namespace, "value").unwrap(),
    }
    assert_eq!(document.render(), before);
}

/// Gives one to a few bytes at a time, and an interruption now and then.
struct Short<'a> {
    rest: &'a [u8],
    most: usize,
    state: usize,
}

impl Read for Short<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let random = self.state >> 33;
        if self.most > 1 && random.is_multiple_of(7) {
            return Err(ErrorKind::Interrupted.into());
        }
        let length = (1 + random % self.most).min(buffer.len()).min(self.rest.len());
        let (now, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(now);
        self.rest = rest;
        Ok(length)
    }
}

#[test]
fn descriptors_read_byte_by_byte_and_in_random_pieces_are_the_same() {
    let Some(corpus) = corpus() else { return };
    let mut read = 0;
    for (path, _) in files(&corpus) {
        let rest = &std::fs::read(corpus.join(&path)).unwrap()[..];
        let whole = examine(rest, &[]);
        for most in [1, 1009] {
            let bytes = bytes_of(Short {
                rest,
                most,
                state: read,
            })
            .unwrap();
            assert_eq!(bytes, rest, "{path}");
            assert_eq!(examine(&bytes, &[]), whole, "{path}");
        }
        read += 1;
    }
    println!("{read} descriptors read three ways");
    assert!(read >= 470, "{read}");
}
