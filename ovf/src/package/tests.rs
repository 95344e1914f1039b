use std::collections::HashMap;
use std::io::{self, Cursor, Read, Write};

use flate2::write::GzEncoder;

use super::*;
use crate::descriptor::{Capacity, Compression, Descriptor, Disk, File, VirtualSystem};
use crate::error::{Error, Kind};
use crate::fixture::{self, Halting, corpus, files_under};
use crate::manifest::DigestAlgorithm;

fn file(href: &str, size: Option<u64>) -> File {
    File {
        id: href.to_owned(),
        href: href.to_owned(),
        size,
        ..File::default()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that compress badly, so that chunks of them are many.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}

/// A folder that is none.
struct Memory(HashMap<String, Vec<u8>>);

impl Folder for Memory {
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, Error> {
        let bytes = self.0.get(name.as_str()).cloned();
        Ok(bytes.map(|bytes| FolderFile {
            size: bytes.len() as u64,
            body: Box::new(Cursor::new(bytes)),
        }))
    }
}

/// A package whose first file is what a test is about.
struct Package {
    descriptor: Descriptor,
    members: Vec<(String, Vec<u8>)>,
}

impl Package {
    fn of(file: File, members: &[(&str, &[u8])]) -> Self {
        let system = VirtualSystem {
            id: "s".to_owned(),
            ..VirtualSystem::default()
        };
        let descriptor = Descriptor {
            files: vec![file],
            ..Descriptor::new(system)
        };
        let head = ("a.ovf".to_owned(), descriptor.render().unwrap());
        let manifest = ("a.mf".to_owned(), Vec::new());
        let members = members
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()));
        Package {
            descriptor,
            members: [head, manifest].into_iter().chain(members).collect(),
        }
    }

    fn archive(&self) -> Vec<u8> {
        fixture::tar(&self.members)
    }

    /// The first file by every way there is to read it.
    fn reads(&self, limits: &Limits) -> Vec<Result<Vec<u8>, Error>> {
        let file = &self.descriptor.files[0];
        let whole = |mut reader: FileReader<'_>| {
            let mut bytes = Vec::new();
            let outcome = reader.read_to_end(&mut bytes);
            if outcome.is_err() {
                assert!(
                    reader.read(&mut [0]).is_err(),
                    "an error is not taken for the end"
                );
            }
            outcome
                .map_err(|error| Error::io("reading", error))
                .map(|_| bytes)
        };
        let folder = || {
            let name = MemberName::parse("a.ovf").unwrap();
            Source::folder(Memory(self.members.iter().cloned().collect()), name)
        };
        let in_order = |mut source: Source| {
            source.read_descriptor()?;
            whole(source.file(file, limits)?)
        };
        let indexed = |source: Source| whole(Index::read(source)?.file(file, limits)?);
        vec![
            in_order(Source::stream(Cursor::new(self.archive()))),
            in_order(Source::stream(Halting::new(Cursor::new(self.archive()), 7))),
            indexed(Source::seekable(Cursor::new(self.archive()))),
            in_order(folder()),
            indexed(folder()),
        ]
    }

    fn read(&self) -> Vec<u8> {
        let mut reads = self.reads(&Limits::default()).into_iter().map(Result::unwrap);
        let first = reads.next().unwrap();
        assert!(reads.all(|bytes| bytes == first), "every way reads the same");
        first
    }

    /// Kind and member, the same by every way.
    fn refused(&self, limits: &Limits) -> (Kind, Option<String>) {
        let told = |read: Result<Vec<u8>, Error>| {
            let error = read.map(|bytes| bytes.len()).unwrap_err();
            (error.kind(), error.place().member.clone())
        };
        let mut errors = self.reads(limits).into_iter().map(told);
        let first = errors.next().unwrap();
        assert!(errors.all(|error| error == first), "every way refuses the same");
        first
    }
}

/// A file cut into chunks, and its package.
fn chunked(stored: &[u8], chunk: usize, compression: Compression) -> Package {
    let names: Vec<_> = (0..)
        .map(|index| format!("disk.{index:09}"))
        .take(stored.len())
        .collect();
    let parts = names.iter().map(String::as_str).zip(stored.chunks(chunk));
    let file = File {
        chunk_size: Some(chunk as u64),
        compression,
        ..file("disk", Some(stored.len() as u64))
    };
    Package::of(file, &parts.collect::<Vec<_>>())
}

#[test]
fn a_file_reads_as_one_whatever_it_is_made_of() {
    let bytes = noise(200_000);
    let stored = gzip(&bytes);
    let compressed = File {
        compression: Compression::Gzip,
        ..file("disk", Some(stored.len() as u64))
    };
    for package in [
        Package::of(file("disk", Some(200_000)), &[("disk", &bytes)]),
        Package::of(file("disk", None), &[("disk", &bytes)]),
        Package::of(compressed, &[("disk", &stored)]),
        chunked(&bytes, 70_000, Compression::None),
        chunked(&bytes, 100_000, Compression::None),
        chunked(&stored, 70_000, Compression::Gzip),
        chunked(&stored, 999, Compression::Gzip),
    ] {
        assert!(package.read() == bytes, "{:?}", package.descriptor.files[0]);
    }
    assert_eq!(Package::of(file("disk", Some(0)), &[("disk", b"")]).read(), b"");
}

#[test]
fn chunks_without_a_size_end_where_the_next_is_not_there() {
    let mut package = chunked(b"0123456789", 4, Compression::None);
    package.descriptor.files[0].size = None;
    package.members[0].1 = package.descriptor.render().unwrap();
    assert_eq!(package.read(), b"0123456789");
    // A short chunk is the last, or the file was made of others.
    package.members[3].1.pop();
    let refused = package.refused(&Limits::default());
    assert_eq!(refused, (Kind::PackageSize, Some("disk.000000001".to_owned())));
}

#[test]
fn a_file_of_a_single_chunk_may_stand_under_its_own_name() {
    let mut package = chunked(b"0123", 10, Compression::None);
    assert_eq!(package.read(), b"0123");
    package.members[2].0 = "disk".to_owned();
    assert_eq!(package.read(), b"0123");
    package.descriptor.files[0].size = None;
    package.members[0].1 = package.descriptor.render().unwrap();
    assert_eq!(package.read(), b"0123");
}

#[test]
fn the_file_after_chunks_in_unknown_number_is_still_there_to_be_read() {
    let mut package = chunked(b"0123456789", 4, Compression::None);
    package.descriptor.files[0].size = None;
    package.descriptor.files.push(file("next", Some(1)));
    package.members[0].1 = package.descriptor.render().unwrap();
    package.members.push(("next".to_owned(), b"n".to_vec()));
    let mut source = Source::stream(Cursor::new(package.archive()));
    source.read_descriptor().unwrap();
    for (file, expected) in package.descriptor.files.iter().zip([&b"0123456789"[..], b"n"]) {
        let mut bytes = Vec::new();
        let mut reader = source.file(file, &Limits::default()).unwrap();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, expected);
        let after = reader.read(&mut [0; 9]).unwrap();
        assert_eq!(after, 0, "the end stays the end, though another member is next");
    }
    assert!(source.next_member().unwrap().is_none());
}

#[test]
fn what_stands_before_a_file_or_was_left_of_the_one_before_is_passed_over() {
    let mut package = chunked(b"0123456789", 4, Compression::None);
    package.descriptor.files.push(file("next", Some(1)));
    package.members[0].1 = package.descriptor.render().unwrap();
    package.members.push(("next".to_owned(), b"n".to_vec()));
    for begun in [false, true] {
        let mut source = Source::stream(Cursor::new(package.archive()));
        source.read_descriptor().unwrap();
        let [first, next] = [0, 1].map(|index| &package.descriptor.files[index]);
        if begun {
            let mut reader = source.file(first, &Limits::default()).unwrap();
            reader.read_exact(&mut [0; 2]).unwrap();
        }
        let mut text = String::new();
        let mut reader = source.file(next, &Limits::default()).unwrap();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "n");
        let error = source.file(first, &Limits::default()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), Kind::PackageMissing);
    }
}

#[test]
fn an_index_reads_files_again_and_in_any_order() {
    let mut package = Package::of(file("a", Some(1)), &[("a", b"1"), ("b", b"22")]);
    package.descriptor.files.push(file("b", Some(2)));
    package.members[0].1 = package.descriptor.render().unwrap();
    let mut index = Index::read(Source::seekable(Cursor::new(package.archive()))).unwrap();
    assert_eq!(index.members().len(), 4);
    let files = index.descriptor().files.clone();
    for (file, expected) in [(1, "22"), (0, "1"), (1, "22")] {
        let mut text = String::new();
        let mut reader = index.file(&files[file], &Limits::default()).unwrap();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
    }
    let stream = Index::read(Source::stream(Cursor::new(package.archive())));
    assert_eq!(stream.map(|_| ()).unwrap_err().kind(), Kind::PackageFormat);
}

#[test]
fn chunks_that_are_missing_or_of_the_wrong_size_are_refused_by_name() {
    let at = |package: &Package| package.refused(&Limits::default());
    let named = |index: usize| Some(format!("disk.{index:09}"));
    let mut package = chunked(b"0123456789", 4, Compression::None);
    package.members.pop();
    assert_eq!(at(&package), (Kind::PackageMissing, named(2)));
    let mut package = chunked(b"0123456789", 4, Compression::None);
    package.members[3].1.push(b'x');
    assert_eq!(at(&package), (Kind::PackageSize, named(1)));
    let mut package = chunked(b"0123456789", 4, Compression::None);
    package.members[4].1.pop();
    assert_eq!(at(&package), (Kind::PackageSize, named(2)));
    let package = Package::of(file("disk", Some(3)), &[("disk", b"1234")]);
    assert_eq!(at(&package), (Kind::PackageSize, Some("disk".to_owned())));
    let package = Package::of(file("disk", Some(3)), &[("other", b"123")]);
    assert_eq!(at(&package), (Kind::PackageMissing, Some("disk".to_owned())));
}

#[test]
fn more_chunks_than_allowed_are_refused_whether_their_number_is_told_or_not() {
    let limits = Limits {
        chunks: 2,
        ..Limits::default()
    };
    let mut package = chunked(b"0123456789", 4, Compression::None);
    assert_eq!(package.refused(&limits).0, Kind::PackageLimit);
    package.descriptor.files[0].size = None;
    package.members[0].1 = package.descriptor.render().unwrap();
    assert_eq!(package.refused(&limits).0, Kind::PackageLimit);
    // A claim of very many costs no more than their ceiling.
    package.descriptor.files[0].size = Some(u64::MAX);
    package.descriptor.files[0].chunk_size = Some(1);
    assert_eq!(package.refused(&Limits::default()).0, Kind::PackageLimit);
}

/// A package of a compressed file with these stored bytes.
fn compressed(stored: &[u8]) -> Package {
    let file = File {
        compression: Compression::Gzip,
        ..file("disk", Some(stored.len() as u64))
    };
    Package::of(file, &[("disk", stored)])
}

#[test]
fn several_gzip_streams_on_end_are_one_file() {
    let stored = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
    assert_eq!(compressed(&stored).read(), b"one two");
}

#[test]
fn what_gzip_and_split_make_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(30_000);
    std::fs::write(folder.path().join("disk"), &bytes).unwrap();
    let made = std::process::Command::new("sh")
        .args(["-c", "gzip disk && split -b 9000 -d -a 9 disk.gz disk."])
        .current_dir(folder.path())
        .output()
        .unwrap();
    if !made.status.success() {
        return println!("skipped: no gzip or no split");
    }
    let size = folder.path().join("disk.gz").metadata().unwrap().len();
    let file = File {
        compression: Compression::Gzip,
        chunk_size: Some(9000),
        ..file("disk", Some(size))
    };
    let package = Package::of(file.clone(), &[]);
    let path = folder.path().join("a.ovf");
    std::fs::write(&path, &package.members[0].1).unwrap();
    let mut index = Index::read(Source::open(&path).unwrap()).unwrap();
    assert_eq!(index.members().len(), 5);
    let mut read = Vec::new();
    let mut reader = index.file(&file, &Limits::default()).unwrap();
    reader.read_to_end(&mut read).unwrap();
    assert!(read == bytes);
}

#[test]
fn compressed_disks_of_the_field_are_read() {
    let Some(corpus) = corpus() else { return };
    let mut sizes = Vec::new();
    let compressed_files = files_under(&corpus);
    for path in compressed_files
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "gz"))
    {
        sizes.push(compressed(&std::fs::read(path).unwrap()).read().len());
    }
    println!("{} compressed files unpack into {sizes:?} bytes", sizes.len());
    assert!(!sizes.is_empty() && sizes.iter().all(|size| *size > 0));
}

#[test]
fn a_gzip_stream_that_is_cut_damaged_or_followed_by_something_is_refused_with_its_place() {
    let bytes = noise(5000);
    let whole = gzip(&bytes);
    let refused = |stored: &[u8]| {
        let (kind, member) = compressed(stored).refused(&Limits::default());
        assert_eq!(member.as_deref(), Some("disk"));
        kind
    };
    for length in [0, 1, 5, 10, 11, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
        assert_eq!(refused(&whole[..length]), Kind::GzipTruncated, "{length}");
    }
    for tail in [&b"\0"[..], b"x", b"\x1F\x8Cx0000000", b"\x1F\x8Bx0000000"] {
        let stored = [&whole, tail].concat();
        assert_eq!(refused(&stored), Kind::GzipTrailingData, "{tail:?}");
    }
    assert_eq!(refused(&[&whole[..], b"\x1F\x8B"].concat()), Kind::GzipTruncated);
    for place in [0, 2, 20, whole.len() - 6, whole.len() - 1] {
        let mut stored = whole.clone();
        stored[place] ^= 0xFF;
        let kind = refused(&stored);
        assert!(
            matches!(kind, Kind::GzipMalformed | Kind::GzipTruncated),
            "{place}: {kind:?}"
        );
    }
    // Descriptor and manifest take two blocks and one; the garbage follows the stream in the fourth member's bytes.
    let package = compressed(&[&whole[..], b"garbage"].concat());
    let error = package.reads(&Limits::default()).remove(0).unwrap_err();
    let stored = package.archive();
    let at = stored.windows(7).position(|bytes| bytes == b"garbage").unwrap();
    assert_eq!(error.place().offset, Some(at as u64), "{error}");
}

#[test]
fn a_file_that_unpacks_into_more_than_it_may_is_refused_before_it_is_given() {
    let stored = gzip(&vec![0; 10 << 20]);
    let package = compressed(&stored);
    let limits = |bytes| Limits {
        bytes,
        ..Limits::default()
    };
    assert_eq!(
        package.reads(&limits(10 << 20))[0].as_ref().unwrap().len(),
        10 << 20
    );
    assert_eq!(package.refused(&limits((10 << 20) - 1)).0, Kind::FileLimit);
    assert_eq!(package.refused(&limits(0)).0, Kind::FileLimit);
    let plain = Package::of(file("disk", Some(4)), &[("disk", b"1234")]);
    assert_eq!(plain.refused(&limits(3)).0, Kind::FileLimit);
}

#[test]
fn a_compressed_disk_is_limited_by_its_capacity_and_another_file_by_a_constant() {
    let mut package = compressed(&gzip(b""));
    let of = |package: &Package| Limits::of(&package.descriptor, &package.descriptor.files[0]).unwrap();
    assert_eq!(of(&package).bytes, MAX_UNPACKED_BYTES);
    package.descriptor.disks = vec![Disk {
        id: "d".to_owned(),
        file_ref: Some("disk".to_owned()),
        capacity: Capacity::Number(1 << 30),
        ..Disk::default()
    }];
    assert_eq!(of(&package).bytes, (1 << 30) + (1 << 27) + (16 << 20));
    package.descriptor.files[0].compression = Compression::None;
    assert_eq!(of(&package).bytes, u64::MAX);
}

#[test]
fn files_outside_the_package_and_unknown_compressions_are_refused() {
    let package = Package::of(file("http://example.com/disk", None), &[]);
    assert_eq!(package.refused(&Limits::default()).0, Kind::PackageMissing);
    let mut package = Package::of(file("disk", None), &[("disk", b"")]);
    package.descriptor.files[0].compression = Compression::Other("xz".to_owned());
    assert_eq!(package.refused(&Limits::default()).0, Kind::DescriptorValue);
}

#[test]
fn a_file_that_shrank_after_it_was_listed_is_refused() {
    /// Tells a size that it has not.
    struct Shrunk(Memory);
    impl Folder for Shrunk {
        fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, Error> {
            let opened = self.0.open(name)?;
            Ok(opened.map(|file| match name.as_str() {
                "disk" => FolderFile {
                    size: file.size + 1,
                    ..file
                },
                _ => file,
            }))
        }
    }
    let package = Package::of(file("disk", None), &[("disk", b"1234")]);
    let folder = Shrunk(Memory(package.members.iter().cloned().collect()));
    let mut source = Source::folder(folder, MemberName::parse("a.ovf").unwrap());
    source.read_descriptor().unwrap();
    let mut reader = source
        .file(&package.descriptor.files[0], &Limits::default())
        .unwrap();
    let error = Error::io("", io::copy(&mut reader, &mut io::sink()).unwrap_err());
    assert_eq!(error.kind(), Kind::Truncated);
}

/// Every member's name, role, size and digest, or the code of what was refused.
fn listing(reader: impl Read) -> Result<Vec<String>, String> {
    let mut reader = ova::Reader::new(reader);
    let mut list = Vec::new();
    let refused = |error: Error| format!("{} {:?}", error.code(), error.place().offset);
    while let Some(mut member) = reader.next_member().map_err(refused)? {
        let mut digester = crate::manifest::Digester::new(DigestAlgorithm::Sha256);
        let mut buffer = [0; 4096];
        loop {
            match member.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => digester.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(refused(Error::io("", error))),
            }
        }
        list.push(format!("{:?} {}", member.info(), digester.finish()));
    }
    Ok(list)
}

/// The archives of the corpus, and an archive of each descriptor in it with a disk.
fn archives(corpus: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut archives = Vec::new();
    for path in files_under(corpus) {
        let bytes = std::fs::read(&path).unwrap();
        let bytes = match path.extension().and_then(|it| it.to_str()) {
            Some("ova" | "tar") => bytes,
            Some("ovf") => fixture::tar(&[("a.ovf", bytes), ("disk", noise(archives.len() * 7))]),
            _ => continue,
        };
        archives.push((path.display().to_string(), bytes));
    }
    archives
}

#[test]
fn archives_of_the_field_read_the_same_through_hostile_readers_as_whole() {
    let Some(corpus) = corpus() else { return };
    let archives = archives(&corpus);
    let (mut members, mut refused, mut reads) = (0, 0, 0);
    for (name, bytes) in &archives {
        let whole = listing(bytes.as_slice());
        members += whole.as_ref().map_or(0, Vec::len);
        refused += u64::from(whole.is_err());
        let one_byte = (0, Halting::one_byte(bytes.as_slice()));
        let short = (1..=3).map(|seed| (seed, Halting::new(bytes.as_slice(), seed)));
        for (seed, mut reader) in std::iter::once(one_byte).chain(short) {
            assert_eq!(listing(&mut reader), whole, "{name}, seed {seed}");
            reads += reader.reads();
        }
    }
    let count = archives.len();
    println!("{count} archives, {members} members, {refused} refused; {reads} hostile reads find the same");
    assert!(
        count > 480 && members > 950,
        "{count} archives, {members} members"
    );
}
