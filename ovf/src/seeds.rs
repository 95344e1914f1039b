//! Makes the fuzz targets' seeds: small inputs that reach far into each reader.
//!
//! `cargo test -p ovf -- --ignored seeds` writes them to `fuzz/seeds`; keys and signatures differ each time.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::certificate::CertificateFile;
use crate::descriptor::{Compression, Descriptor, File, VirtualSystem};
use crate::environment::{Entity, Environment, Platform};
use crate::fixture::{self, keys};
use crate::manifest::{DigestAlgorithm, Manifest};
use crate::package::MemberName;

#[test]
#[ignore = "writes into the source tree"]
fn seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder: PathBuf = folder.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), bytes).unwrap();
    };
    for (name, bytes) in descriptors() {
        write("descriptor", name, &bytes);
    }
    for (name, bytes) in environments() {
        write("environment", name, &bytes);
    }
    for (name, bytes) in manifests() {
        write("manifest", name, &bytes);
    }
    let certificate = keys().signer().sign("small.mf", b"manifest").unwrap();
    let parsed = CertificateFile::parse(&certificate).unwrap();
    write("certificate", "chain.cert", &certificate);
    write("certificate", "leaf.der", parsed.signer().as_der());
    let leaf = CertificateFile::new(parsed.algorithm, "a.mf", vec![1; 16], vec![keys().root.clone()]);
    write("certificate", "root.cert", &leaf.unwrap().render());
    for (name, bytes) in archives() {
        write("archive", name, &bytes);
    }
    for (name, bytes) in files() {
        write("file", name, &bytes);
    }
}

fn descriptors() -> Vec<(&'static str, Vec<u8>)> {
    let whole = fixture::descriptor([700, 11]);
    let mut files = Descriptor::new(VirtualSystem {
        id: "s".to_owned(),
        ..VirtualSystem::default()
    });
    files.files = vec![File {
        id: "f".to_owned(),
        href: "disk".to_owned(),
        size: Some(10),
        compression: Compression::Gzip,
        chunk_size: Some(4),
        ..File::default()
    }];
    let ns = crate::descriptor::ENVELOPE_2;
    let second = format!(
        "<Envelope xmlns='{ns}' xmlns:o='{ns}'><References/><DiskSection><Info/>\
         <Disk o:diskId='d' o:capacity='${{size}}' o:capacityAllocationUnits='byte * 2^30'/></DiskSection>\
         <VirtualSystemCollection o:id='c'><Info>&amp;</Info><VirtualSystem o:id='s'><Info/><!-- remark -->\
         <ProductSection o:class='c' o:instance='1'><Info/><Property o:key='size' o:type='uint16' \
         o:qualifiers='MinLen(1) ValueMap{{&quot;a&quot;,&quot;b&quot;}}' o:value='1'/></ProductSection>\
         </VirtualSystem></VirtualSystemCollection></Envelope>"
    );
    vec![
        ("whole.ovf", whole.render().unwrap()),
        ("chunks.ovf", files.render().unwrap()),
        ("second.ovf", second.into_bytes()),
    ]
}

fn environments() -> Vec<(&'static str, Vec<u8>)> {
    let property = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let least = Environment::default();
    let whole = Environment {
        id: "node".to_owned(),
        platform: Some(Platform {
            kind: Some("Type".to_owned()),
            timezone: Some(-60),
            ..Platform::default()
        }),
        properties: vec![property("a.b.1", "<&\">"), property("c", "")],
        entities: vec![Entity {
            id: "other".to_owned(),
            properties: vec![property("a", "line\nline")],
        }],
    };
    let foreign = whole.render().unwrap();
    let foreign = String::from_utf8(foreign).unwrap().replace("oe:", "x:");
    let foreign = foreign.replace("xmlns:oe", "xmlns:x").replace('"', "'");
    vec![
        ("least.xml", least.render().unwrap()),
        ("whole.xml", whole.render().unwrap()),
        ("prefix.xml", foreign.into_bytes()),
    ]
}

fn manifests() -> Vec<(&'static str, Vec<u8>)> {
    let mut manifest = Manifest::new();
    for name in ["a.ovf", "a (1).vmdk", "disk.000000000"] {
        let name = MemberName::parse(name).unwrap();
        manifest.add(name, DigestAlgorithm::Sha256.digest(b"")).unwrap();
    }
    let sha1 = DigestAlgorithm::Sha1.digest(b"");
    vec![
        ("plain.mf", manifest.render()),
        ("spaces.mf", format!("SHA1 (a.ovf) = {sha1}\r\n").into_bytes()),
        ("doubled.mf", [manifest.render(), manifest.render()].concat()),
    ]
}

fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let plain = fixture::tar(&[("a.ovf", &b"<x/>"[..]), ("disk", &[7; 600])]);
    let pax = |kind, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut archive = plain[..1024].to_vec();
        archive.extend(header.as_bytes());
        archive.extend(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
        archive.extend(&plain[1024..]);
        archive
    };
    vec![
        (
            "pax.ova",
            pax(tar::EntryType::XHeader, b"13 path=name\n11 size=600\n"),
        ),
        (
            "long-name.ova",
            pax(tar::EntryType::GNULongName, b"a-long-name\0"),
        ),
        ("plain.ova", plain),
        ("signed.ova", fixture::least_archive(&keys().signer())),
    ]
}

/// As the target wants them: flags, size of chunks, limit in KiB, then what is stored.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let two = [gzip(b"one"), gzip(b"two")].concat();
    vec![
        ("gzip", [&[0, 0, 1][..], &gzip(b"disk")].concat()),
        ("gzip-chunks", [&[0, 7, 1][..], &two].concat()),
        ("gzip-chunks-open", [&[1, 5, 1][..], &two].concat()),
        ("plain-chunks", [&[2, 3, 1][..], b"0123456789"].concat()),
        ("too-long", [&[0, 0, 1][..], &gzip(&[0; 5000])].concat()),
        ("trailing", [&[0, 0, 1][..], &two, b"x"].concat()),
    ]
}
