mod sections;

use std::path::Path;
use std::process::Command;

use super::*;
use crate::fixture::{corpus, descriptor, files_under};

const SIZES: [u64; 2] = [1000, 2000];

fn parse(text: &str) -> Result<Descriptor, Error> {
    Descriptor::parse(text.as_bytes())
}

/// The least envelope around some content of its system.
fn envelope(head: &str, system: &str) -> String {
    format!(
        "<Envelope xmlns=\"{ENVELOPE_1}\" xmlns:ovf=\"{ENVELOPE_1}\" xmlns:rasd=\"{RASD}\">{head}\
         <VirtualSystem ovf:id=\"a\"><Info/>{system}</VirtualSystem></Envelope>"
    )
}

#[test]
fn a_written_descriptor_reads_back_as_it_was_with_every_text() {
    let written = descriptor(SIZES);
    let read = Descriptor::parse(&written.render().unwrap()).unwrap();
    assert_eq!(read, written);
    assert_eq!(read.render().unwrap(), written.render().unwrap());
    assert!(read.check_references().is_empty());
    assert_eq!(read.files[1].origin.0.unwrap().line, 5);
}

#[test]
fn a_text_that_xml_cannot_carry_is_refused() {
    let mut descriptor = descriptor(SIZES);
    descriptor.networks[0].name = "a\0".to_owned();
    assert_eq!(descriptor.render().unwrap_err().kind(), Kind::XmlCharacter);
}

#[test]
fn the_published_schema_accepts_what_is_written() {
    let Some(corpus) = corpus() else { return };
    let schema = corpus.join("xsd/xo-1.1.1/dsp8023_1.1.1.xsd");
    let collection = VirtualSystemCollection {
        id: "all".to_owned(),
        content: vec![descriptor(SIZES).content],
        products: vec![ProductSection::default()],
        ..VirtualSystemCollection::default()
    };
    let least = Descriptor::new(VirtualSystem {
        id: "a".to_owned(),
        ..VirtualSystem::default()
    });
    let nested = Descriptor {
        content: Content::Collection(collection),
        ..descriptor(SIZES)
    };
    let folder = tempfile::tempdir().unwrap();
    for (index, descriptor) in [descriptor(SIZES), least, nested].iter().enumerate() {
        let file = folder.path().join(format!("{index}.ovf"));
        std::fs::write(&file, descriptor.render().unwrap()).unwrap();
        if !xmllint(&schema, &file) {
            return println!("skipped: no xmllint");
        }
    }
}

/// Whether xmllint is here; it must accept the file.
fn xmllint(schema: &Path, file: &Path) -> bool {
    let output = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema"])
        .args([schema, file])
        .output();
    let Ok(output) = output else { return false };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

#[test]
fn another_document_is_no_descriptor() {
    for text in [
        "<Envelope/>",
        "<Envelope xmlns='urn:x'/>",
        &format!("<Other xmlns='{ENVELOPE_1}'/>"),
    ] {
        assert_eq!(
            parse(text).unwrap_err().kind(),
            Kind::DescriptorNamespace,
            "{text}"
        );
    }
}

#[test]
fn what_must_be_there_and_is_not_is_named_with_its_line() {
    for (head, system) in [
        ("<References>\n<File ovf:id='a'/></References>", ""),
        ("<References>\n<File ovf:href='a'/></References>", ""),
        ("<DiskSection>\n<Disk ovf:diskId='a'/></DiskSection>", ""),
        ("<DiskSection>\n<Disk ovf:capacity='1'/></DiskSection>", ""),
        ("<NetworkSection>\n<Network/></NetworkSection>", ""),
        (
            "",
            "<ProductSection>\n<Property ovf:type='string'/></ProductSection>",
        ),
        (
            "",
            "<VirtualHardwareSection>\n<Item><rasd:ElementName>a</rasd:ElementName></Item></VirtualHardwareSection>",
        ),
        ("", "<OperatingSystemSection/>\n"),
    ] {
        let error = parse(&envelope(head, system)).unwrap_err();
        let missing = [Kind::DescriptorAttributeMissing, Kind::DescriptorElementMissing];
        assert!(missing.contains(&error.kind()), "{head}{system}");
        assert!(error.place().line.is_some());
    }
    let no_content = format!("<Envelope xmlns='{ENVELOPE_1}'/>");
    assert_eq!(
        parse(&no_content).unwrap_err().kind(),
        Kind::DescriptorElementMissing
    );
}

#[test]
fn numbers_that_are_none_are_refused_and_negative_sizes_mean_unknown() {
    for head in [
        "<References><File ovf:id='a' ovf:href='a' ovf:size='abcd'/></References>",
        "<References><File ovf:id='a' ovf:href='a' ovf:size='99999999999999999999'/></References>",
        "<DiskSection><Disk ovf:diskId='a' ovf:capacity='big'/></DiskSection>",
        "<DiskSection><Disk ovf:diskId='a' ovf:capacity='-1'/></DiskSection>",
    ] {
        assert_eq!(
            parse(&envelope(head, "")).unwrap_err().kind(),
            Kind::DescriptorValue,
            "{head}"
        );
    }
    let unknown = parse(&envelope(
        "<References><File ovf:id='a' ovf:href='a' ovf:size='-2'/></References>",
        "",
    ))
    .unwrap();
    assert_eq!(unknown.files[0].size, None);
    let property = parse(&envelope(
        "<DiskSection><Disk ovf:diskId='a' ovf:capacity='${size}'/></DiskSection>",
        "",
    ))
    .unwrap();
    assert_eq!(property.disks[0].capacity, Capacity::Property("size".to_owned()));
    assert_eq!(property.disks[0].capacity_in_bytes().unwrap(), None);
}

#[test]
fn every_reference_that_leads_nowhere_and_every_twin_is_found() {
    let mut broken = descriptor(SIZES);
    broken.disks[0].file_ref = Some("file9".to_owned());
    broken.disks[1].parent_ref = Some("disk9".to_owned());
    broken.files[1].id = "file1".to_owned();
    let Content::System(system) = &mut broken.content else {
        panic!()
    };
    system.products[0].icons.push(Icon {
        file_ref: "icon".to_owned(),
        ..Icon::default()
    });
    let twin = system.products[0].properties[0].clone();
    system.products[0].properties.push(twin);
    let items = &mut system.hardware[0].items;
    items[5].host_resources = vec!["ovf:/disk/disk8".to_owned()];
    items[6].parent = Some("77".to_owned());
    items[7].connections.push("nowhere".to_owned());
    let findings: Vec<_> = broken
        .check_references()
        .iter()
        .map(ToString::to_string)
        .collect();
    for word in [
        "\"file9\"",
        "\"disk9\"",
        "\"file1\" is used twice",
        "\"icon\"",
        "\"role\" is used twice",
        "\"disk8\"",
        "\"77\"",
        "\"nowhere\"",
    ] {
        assert!(
            findings.iter().any(|finding| finding.contains(word)),
            "{word}: {findings:?}"
        );
    }
    // file2 is gone as well, which the second disk refers to.
    assert_eq!(findings.len(), 9, "{findings:?}");
}

#[test]
fn sections_outside_the_model_are_listed_with_their_place_and_weight() {
    let text = envelope(
        "<x:Extra xmlns:x='urn:x' ovf:required='false'/><FutureSection><Info/></FutureSection>",
        "<OtherSection ovf:required='false'/>",
    );
    let descriptor = parse(&text).unwrap();
    let found: Vec<_> = descriptor
        .unmodelled
        .iter()
        .map(|it| (it.name.as_str(), it.required))
        .collect();
    assert_eq!(
        found,
        [("Extra", false), ("FutureSection", true), ("OtherSection", false)]
    );
    assert_eq!(descriptor.unmodelled[0].namespace.as_deref(), Some("urn:x"));
    assert_eq!(
        &text[descriptor.unmodelled[2].span.clone()],
        "<OtherSection ovf:required='false'/>"
    );
    assert_eq!(descriptor.render().unwrap_err().kind(), Kind::DescriptorStructure);
}

#[test]
fn categories_hold_until_the_next_and_empty_ones_end_them() {
    let property = |key: &str, category: Option<&str>| Property {
        category: category.map(Text::from),
        ..Property::new(key, PropertyType::String)
    };
    let properties = vec![
        property("a", None),
        property("b", Some("x")),
        property("c", Some("x")),
        property("d", None),
    ];
    let product = ProductSection {
        properties,
        ..ProductSection::default()
    };
    let system = VirtualSystem {
        id: "a".to_owned(),
        products: vec![product],
        ..VirtualSystem::default()
    };
    let written = Descriptor::new(system);
    let bytes = written.render().unwrap();
    assert_eq!(Descriptor::parse(&bytes).unwrap(), written);
    assert_eq!(String::from_utf8(bytes).unwrap().matches("<Category>").count(), 2);
}

#[test]
fn environment_keys_carry_class_and_instance() {
    let property = Property::new("key", PropertyType::String);
    let key = |class: &str, instance: &str| {
        ProductSection {
            class: class.to_owned(),
            instance: instance.to_owned(),
            ..ProductSection::default()
        }
        .environment_key(&property)
    };
    assert_eq!(key("", ""), "key");
    assert_eq!(key("com.x", ""), "com.x.key");
    assert_eq!(key("com.x", "1"), "com.x.key.1");
    let all: Vec<_> = descriptor(SIZES)
        .properties()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(
        all,
        [
            "com.example.role.1",
            "com.example.secret.1",
            "com.example.count.1"
        ]
    );
}

#[test]
fn chunked_files_name_their_parts_and_external_ones_none() {
    let file = |href: &str, size, chunk_size| File {
        href: href.to_owned(),
        size,
        chunk_size,
        ..File::default()
    };
    let names = |file: &File| {
        file.member_names(9)
            .map(|name| name.unwrap().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&file("a", Some(5), Some(2))),
        ["a.000000000", "a.000000001", "a.000000002"]
    );
    assert_eq!(names(&file("a", None, Some(2))).len(), 9);
    assert_eq!(names(&file("a", Some(u64::MAX), Some(1))).len(), 9);
    assert!(names(&file("https://example.com/a", Some(5), None)).is_empty());
    assert!(file("../a", None, None).member_names(9).next().unwrap().is_err());
}

/// What became of the corpus' descriptors under one verdict of its authors.
#[derive(Debug, Default)]
struct Tally {
    read: usize,
    sound: usize,
    written: usize,
    refused: Vec<(String, &'static str)>,
}

#[test]
fn descriptors_of_the_field_are_read() {
    let Some(corpus) = corpus() else { return };
    let index = std::fs::read_to_string(corpus.join("INDEX.tsv")).unwrap();
    let verdict_of = |path: &Path| {
        let relative = path.strip_prefix(&corpus).unwrap().to_string_lossy().into_owned();
        let line = index
            .lines()
            .find(|line| line.split('\t').next() == Some(&relative));
        line.and_then(|line| line.split('\t').nth(3))
            .unwrap_or_default()
            .to_owned()
    };
    let mut tallies = std::collections::BTreeMap::<String, Tally>::new();
    for path in files_under(&corpus)
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "ovf"))
    {
        let tally = tallies.entry(verdict_of(path)).or_default();
        let bytes = std::fs::read(path).unwrap();
        if let Ok(document) = Document::parse(&bytes) {
            assert_eq!(document.render(), bytes, "{}", path.display());
        }
        match Descriptor::parse(&bytes) {
            Ok(descriptor) => {
                tally.read += 1;
                tally.sound += usize::from(descriptor.check_references().is_empty());
                let again = Descriptor {
                    dialect: Dialect::V1,
                    unmodelled: Vec::new(),
                    ..descriptor
                };
                // What is not written is refused, never left out.
                if let Ok(rendered) = again.render() {
                    tally.written += 1;
                    assert_eq!(Descriptor::parse(&rendered).unwrap(), again, "{}", path.display());
                }
            }
            Err(error) => {
                let name = path.strip_prefix(&corpus).unwrap().display().to_string();
                tally.refused.push((format!("{name}: {error}"), error.code()));
            }
        }
    }
    for (verdict, tally) in &tallies {
        let Tally {
            read, sound, written, ..
        } = tally;
        println!("{verdict:?}: {read} read, {sound} of them sound, {written} written anew");
        for (what, code) in &tally.refused {
            println!("  {code} {what}");
        }
    }
    let counts = |verdict: &str| {
        tallies
            .get(verdict)
            .map_or((0, 0), |tally| (tally.read, tally.sound))
    };
    assert!(tallies.values().map(|tally| tally.written).sum::<usize>() >= 300);
    // All but the one whose prefix is undeclared, which no namespace-aware reader can take.
    assert!(counts("pos") >= (94, 94), "{:?}", counts("pos"));
    assert!(counts("").0 >= 281, "{:?}", counts(""));
    // Of 70 that a consumer must refuse, those whose fault is structure, numbers, references or twins.
    assert!(counts("neg").1 <= 32, "{:?}", counts("neg"));
}
