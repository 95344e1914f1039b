//! What each fuzz target does with its bytes. The fuzzer calls these functions with inputs of its own; `ovf`'s tests
//! call them with the seeds.
//!
//! Each claims more than that nothing panics: what was accepted is written and read back the same, and no way of
//! reading gives other bytes than another.

use std::io::{self, Cursor, Read};

use ovf::certificate::{Certificate, CertificateFile, TrustRoots, check_links};
use ovf::conformance::{Profile, examine};
use ovf::descriptor::{Compression, Descriptor, File};
use ovf::environment::Environment;
use ovf::manifest::Manifest;
use ovf::package::{Folder, FolderFile, Index, Limits, MemberName, Source};
use ovf::verify::{Policy, verify};
use ovf::xml::Document;

/// A descriptor: read, judged, changed, written.
pub fn descriptor(bytes: &[u8]) {
    change(bytes);
    for finding in examine(bytes, &Profile::ALL) {
        assert!(!finding.message.is_empty());
    }
    let Ok(descriptor) = Descriptor::parse(bytes) else {
        return;
    };
    for error in descriptor.check_references() {
        assert!(!error.to_string().is_empty());
    }
    for disk in &descriptor.disks {
        let _ = disk.capacity_in_bytes();
    }
    for file in &descriptor.files {
        let _ = Limits::of(&descriptor, file);
        let names = file.member_names(4);
        assert!(names.count() <= 4);
    }
    if let Ok(written) = descriptor.render() {
        let again = Descriptor::parse(&written).expect("what was written is read");
        assert_eq!(again.render().expect("and written again"), written);
    }
}

/// A document: what is changed is read back, and what is changed back leaves no trace.
fn change(bytes: &[u8]) {
    const VALUE: &str = "<&\"'\n> ]]>";
    let Ok(mut document) = Document::parse(bytes) else {
        return;
    };
    assert_eq!(document.render(), bytes);
    let root = document.root().node().id();
    let before = document.root().attribute("", "fuzz").map(str::to_owned);
    document
        .set_attribute(root, "", "fuzz", VALUE)
        .expect("an attribute of the root");
    let changed = Document::parse(&document.render()).expect("what was changed is read");
    assert_eq!(changed.root().attribute("", "fuzz"), Some(VALUE));
    match before {
        Some(before) => document.set_attribute(root, "", "fuzz", &before),
        None => document.remove_attribute(root, "", "fuzz"),
    }
    .expect("an attribute of the root");
    assert_eq!(document.render(), bytes);
    let leaf = document
        .root()
        .children()
        .find(|child| child.children().next().is_none());
    if let Some(leaf) = leaf {
        let (leaf, text) = (leaf.node().id(), leaf.text());
        document.set_text(leaf, VALUE).expect("the text of a leaf");
        let changed = Document::parse(&document.render()).expect("what was changed is read");
        let mut leaves = changed
            .root()
            .children()
            .filter(|child| child.children().next().is_none());
        assert_eq!(leaves.next().map(|leaf| leaf.text()).as_deref(), Some(VALUE));
        document.set_text(leaf, &text).expect("the text of a leaf");
        assert_eq!(document.render(), bytes);
    }
}

/// An environment: read, written, read.
pub fn environment(bytes: &[u8]) {
    if let Ok(environment) = Environment::parse(bytes) {
        let written = environment.render().expect("what was read is written");
        let again = Environment::parse(&written).expect("what was written is read");
        assert_eq!(again, environment);
    }
}

/// A manifest: read, written, read.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        let written = manifest.render();
        let again = Manifest::parse(&written).expect("what was written is read");
        assert_eq!(again.render(), written);
        for entry in manifest.entries() {
            assert!(manifest.entry(&entry.name).is_some());
        }
    }
}

/// A certificate file, and the same bytes as trusted certificates.
pub fn certificate(bytes: &[u8]) {
    const NOW: i64 = 1_800_000_000;
    let roots = TrustRoots::parse(bytes).unwrap_or_default();
    let _ = Certificate::from_der(bytes);
    let Ok(file) = CertificateFile::parse(bytes) else {
        return;
    };
    let again = CertificateFile::parse(&file.render()).expect("what was written is read");
    // Spellings may differ: one is written, several are read.
    assert_eq!(
        (again.algorithm, &again.manifest_name),
        (file.algorithm, &file.manifest_name)
    );
    assert_eq!((&again.signature, again.chain()), (&file.signature, file.chain()));
    let _ = file.verify_signature(b"manifest");
    let _ = file.signer().check_usage();
    let _ = file.signer().check_validity(NOW);
    let _ = check_links(file.chain());
    let _ = roots.check(file.chain(), NOW);
}

/// An archive: by a stream, by a slow stream and with jumps, under each tolerance; then judged.
pub fn archive(bytes: &[u8]) {
    for tolerant in [false, true] {
        let list = |mut source: Source| {
            if tolerant {
                source.tolerate_pax();
                source.tolerate_long_names();
                source.tolerate_trailing_zeros();
            }
            listing(source)
        };
        let whole = list(Source::stream(Cursor::new(bytes.to_vec())));
        assert_eq!(list(Source::stream(Slow(Cursor::new(bytes.to_vec())))), whole);
        assert_eq!(list(Source::seekable(Cursor::new(bytes.to_vec()))), whole);
        let jumped = heads(Source::seekable(Cursor::new(bytes.to_vec())));
        assert_eq!(jumped, heads(Source::stream(Cursor::new(bytes.to_vec()))));
    }
    let mut source = Source::stream(Cursor::new(bytes.to_vec()));
    let _ = verify(&mut source, &Policy::at(1_800_000_000)).is_accepted();
}

/// A file of the References: the first byte tells compression and whether the size is told, the second the size of
/// chunks, the third that of the output's limit in KiB; the rest is stored.
pub fn file(bytes: &[u8]) {
    let [flags, chunk, limit, stored @ ..] = bytes else {
        return;
    };
    let chunk = Some(u64::from(*chunk)).filter(|chunk| *chunk > 0);
    let file = File {
        id: "f".to_owned(),
        href: "disk".to_owned(),
        size: Some(stored.len() as u64).filter(|_| flags & 1 == 0),
        compression: if flags & 2 == 0 {
            Compression::Gzip
        } else {
            Compression::None
        },
        chunk_size: chunk,
        ..File::default()
    };
    let limits = Limits {
        bytes: u64::from(*limit) << 10,
        chunks: 1 << 10,
    };
    let parts = Parts {
        file: file.clone(),
        chunk,
        stored: stored.to_vec(),
    };
    let name = MemberName::parse("a.ovf").expect("a name");
    let mut index = Index::read(Source::folder(parts.clone(), name.clone())).expect("an index");
    let whole = index.file(&file, &limits).map_err(io::Error::from).and_then(read);
    if let Ok(given) = &whole {
        assert!(given.len() as u64 <= limits.bytes);
    }
    let mut source = Source::folder(parts, name);
    source.read_descriptor().expect("a descriptor");
    let in_order = source
        .file(&file, &limits)
        .map_err(io::Error::from)
        .and_then(read);
    let is_whole = in_order.is_ok();
    assert_eq!(in_order.map_err(told), whole.map_err(told));
    if is_whole {
        let next = source
            .file(&next(), &Limits::default())
            .map_err(io::Error::from)
            .and_then(read);
        assert_eq!(next.expect("the file after it"), b"next");
    }
}

/// The stored bytes as the members of a folder.
#[derive(Clone)]
struct Parts {
    file: File,
    chunk: Option<u64>,
    stored: Vec<u8>,
}

impl Folder for Parts {
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, ovf::Error> {
        let chunk = self.chunk.and_then(|chunk| usize::try_from(chunk).ok());
        let part = match (name.as_str(), chunk) {
            ("a.ovf", _) => Some(self.descriptor()),
            ("next", _) => Some(b"next".to_vec()),
            ("disk", None) => Some(self.stored.clone()),
            (name, Some(chunk)) => {
                let index = name.strip_prefix("disk.").and_then(|index| index.parse().ok());
                let part = index.and_then(|index: usize| self.stored.chunks(chunk).nth(index));
                part.map(<[u8]>::to_vec)
            }
            _ => None,
        };
        Ok(part.map(|bytes| FolderFile {
            size: bytes.len() as u64,
            body: Box::new(Cursor::new(bytes)),
        }))
    }
}

/// The file after the one that is made of the input.
fn next() -> File {
    File {
        id: "next".to_owned(),
        href: "next".to_owned(),
        size: Some(4),
        ..File::default()
    }
}

impl Parts {
    fn descriptor(&self) -> Vec<u8> {
        let system = ovf::descriptor::VirtualSystem {
            id: "s".to_owned(),
            ..Default::default()
        };
        let descriptor = Descriptor {
            files: vec![self.file.clone(), next()],
            ..Descriptor::new(system)
        };
        descriptor.render().expect("a descriptor")
    }
}

fn read(mut reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    assert_eq!(reader.read(&mut [0; 9])?, 0, "the end stays the end");
    Ok(bytes)
}

/// An error so that two of them can be compared.
fn told(error: io::Error) -> String {
    error.to_string()
}

/// Every member with its bytes, or what was refused and where.
fn listing(mut source: Source) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut members = Vec::new();
    while let Some(mut member) = source.next_member().map_err(|error| error.to_string())? {
        let name = format!("{:?}", member.info());
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).map_err(told)?;
        members.push((name, bytes));
    }
    Ok(members)
}

/// Every member passed over, or what was refused and where.
fn heads(mut source: Source) -> Result<Vec<String>, String> {
    let mut members = Vec::new();
    while let Some(member) = source.next_member().map_err(|error| error.to_string())? {
        members.push(format!("{:?}", member.info()));
    }
    Ok(members)
}

/// One byte at a time.
struct Slow<R>(R);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(1);
        self.0.read(&mut buffer[..length])
    }
}
