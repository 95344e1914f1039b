use std::collections::HashMap;
use std::io::{self, Cursor, Read, Write};

use flate2::write::GzEncoder;

use super::*;
use crate::descriptor::{Capacity, Compression, Descriptor, Disk, File, VirtualSystem};
use crate::error::{Error, Kind};
use crate::fixture::{self, Halting, corpus, files_under};
use crate::manifest::DigestAlgorithm;

mod gzip;
mod hostile;

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
