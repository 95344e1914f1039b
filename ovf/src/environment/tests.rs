use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

fn sample() -> Environment {
    Environment {
        id: "node".to_owned(),
        platform: Some(Platform {
            kind: Some("QEMU".to_owned()),
            version: Some("7.2".to_owned()),
            vendor: Some("A & B".to_owned()),
            locale: Some("en_US".to_owned()),
            timezone: Some(-60),
        }),
        properties: vec![
            ("hostname".to_owned(), "node-1".to_owned()),
            ("password".to_owned(), "a\"b'c<d>&e\n\tf\u{e9}".to_owned()),
            ("empty".to_owned(), String::new()),
        ],
        entities: vec![Entity {
            id: "other".to_owned(),
            properties: vec![("role".to_owned(), "sp".to_owned())],
        }],
    }
}

#[test]
fn an_environment_reads_back_as_it_was() {
    let environment = sample();
    let bytes = environment.render().unwrap();
    assert_eq!(Environment::parse(&bytes).unwrap(), environment);
    assert_eq!(environment.property("hostname"), Some("node-1"));
    assert_eq!(
        environment.property("role"),
        None,
        "another entity's properties are not this one's"
    );
}

#[test]
fn what_vmware_writes_is_read() {
    let text = r#"<?xml version="1.0" encoding="UTF-8"?>
<Environment
     xmlns="http://schemas.dmtf.org/ovf/environment/1"
     xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
     xmlns:oe="http://schemas.dmtf.org/ovf/environment/1"
     xmlns:ve="http://www.vmware.com/schema/ovfenv"
     oe:id="" ve:vCenterId="vm-12">
   <PlatformSection>
      <Kind>VMware ESXi</Kind>
      <Version>7.0.3</Version>
      <Vendor>VMware, Inc.</Vendor>
      <Locale>en</Locale>
   </PlatformSection>
   <PropertySection>
         <Property oe:key="ip" oe:value="192.0.2.1/24"/>
   </PropertySection>
   <ve:EthernetAdapterSection>
      <ve:Adapter ve:mac="00:50:56:00:00:01" ve:network="VM Network" ve:unitNumber="7"/>
   </ve:EthernetAdapterSection>
</Environment>"#;
    let environment = Environment::parse(text.as_bytes()).unwrap();
    assert_eq!(environment.property("ip"), Some("192.0.2.1/24"));
    assert_eq!(environment.platform.unwrap().kind.as_deref(), Some("VMware ESXi"));
}

#[test]
fn hostile_and_foreign_documents_are_refused() {
    let wrap = |inner: &str| {
        format!("<Environment xmlns='{NAMESPACE}' xmlns:oe='{NAMESPACE}'>{inner}</Environment>")
    };
    let property = "<Property oe:key='a' oe:value='1'/>";
    for (text, kind) in [
        ("<Environment/>".to_owned(), Kind::EnvironmentStructure),
        (
            wrap("<PropertySection><Property oe:key='a'/></PropertySection>"),
            Kind::EnvironmentStructure,
        ),
        (
            wrap("<PropertySection><Property key='a' value='b'/></PropertySection>"),
            Kind::EnvironmentStructure,
        ),
        (
            wrap(&format!(
                "<PropertySection>{property}{property}</PropertySection>"
            )),
            Kind::EnvironmentStructure,
        ),
        (wrap("<Entity/>"), Kind::EnvironmentStructure),
        (
            wrap("<PlatformSection><Timezone>noon</Timezone></PlatformSection>"),
            Kind::EnvironmentStructure,
        ),
        (format!("<!DOCTYPE x>{}", wrap("")), Kind::XmlDoctype),
        (wrap("&bomb;"), Kind::XmlEntity),
        (" ".repeat(MAX_BYTES + 1), Kind::XmlLimit),
    ] {
        assert_eq!(
            Environment::parse(text.as_bytes()).unwrap_err().kind(),
            kind,
            "{text:.80}"
        );
    }
}

proptest! {
    #[test]
    fn any_legal_text_survives_the_way_into_the_guest(
        properties in proptest::collection::btree_map("[a-z.]{1,8}", "[\\PC\t\n\r\"'&<>]{0,24}", 0..6),
        id in "\\PC{0,8}",
    ) {
        let environment = Environment { id, properties: properties.into_iter().collect(), ..Environment::default() };
        let bytes = environment.render().unwrap();
        prop_assert_eq!(Environment::parse(&bytes).unwrap(), environment);
    }
}

#[test]
fn cloud_init_reads_the_same_values() {
    let script = r"
import json, sys
try:
    from cloudinit.sources.DataSourceOVF import get_properties, read_ovf_environment
except ImportError:
    sys.exit(77)
contents = sys.stdin.buffer.read().decode('utf-8')
md, ud, cfg = read_ovf_environment(contents)
print(json.dumps([get_properties(contents), md, cfg]))
";
    let child = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return println!("skipped: no python3");
    };
    let environment = sample();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&environment.render().unwrap())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.code() == Some(77) {
        return println!("skipped: no cloud-init");
    }
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (key, value) in &environment.properties {
        assert_eq!(read[0][key], value.as_str(), "{key}");
    }
    assert_eq!(read[1]["local-hostname"], "node-1");
    assert_eq!(read[2]["password"], environment.property("password").unwrap());
}

#[test]
fn the_published_schema_accepts_what_is_written() {
    let Some(corpus) = crate::fixture::corpus() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ovf-env.xml");
    std::fs::write(&file, sample().render().unwrap()).unwrap();
    // The schema asks for its neighbour, which stands in another folder of the corpus.
    for schema in ["pyovf-1.0.0/ovf-environment.xsd", "xo-1.1.1/common.xsd"] {
        let source = corpus.join("xsd").join(schema);
        std::fs::copy(&source, folder.path().join(source.file_name().unwrap())).unwrap();
    }
    let schema = folder.path().join("ovf-environment.xsd");
    let output = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema"])
        .args([&schema, &file])
        .output();
    let Ok(output) = output else {
        return println!("skipped: no xmllint");
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
