use std::io::{Cursor, Read, Write};
use std::process::Command;

use super::*;
use crate::error::{Error, Kind};
use crate::fixture::{DISKS, Halting, archive, corpus, descriptor, files_under, keys, tar};
use crate::manifest::{DigestAlgorithm, Manifest};
use crate::package::{MemberName, Role, Source};

mod dialects;

/// Every member's name and bytes.
fn members(reader: impl Read) -> Result<Vec<(String, Role, Vec<u8>)>, Error> {
    let mut reader = Reader::new(reader);
    let mut members = Vec::new();
    while let Some(mut member) = reader.next_member()? {
        let bytes = member.read_all()?;
        assert_eq!(bytes.len() as u64, member.size());
        members.push((member.name().to_string(), member.role(), bytes));
    }
    assert!(reader.next_member()?.is_none(), "the end stays the end");
    Ok(members)
}

fn refused(archive: &[u8]) -> Error {
    members(archive).map(|members| members.len()).unwrap_err()
}

#[test]
fn what_the_writer_writes_the_reader_reads_with_its_head_in_front() {
    let signer = keys().signer();
    let archive = archive(Some(&signer));
    let members = members(archive.as_slice()).unwrap();
    let names: Vec<_> = members
        .iter()
        .map(|(name, role, _)| (name.as_str(), *role))
        .collect();
    assert_eq!(
        names,
        [
            ("small.ovf", Role::Descriptor),
            ("small.mf", Role::Manifest),
            ("small.cert", Role::Certificate),
            ("small-disk1.vmdk", Role::File),
            ("small-disk2.vmdk", Role::File)
        ]
    );
    assert_eq!(members[3].2, DISKS[0]);
    assert_eq!(archive.len() % 10240, 0);
    let manifest = Manifest::parse(&members[1].2).unwrap();
    for (name, _, bytes) in [&members[0], &members[3], &members[4]] {
        let entry = manifest.entry(&MemberName::parse(name).unwrap()).unwrap();
        assert_eq!(entry.digest, DigestAlgorithm::Sha256.digest(bytes));
    }
}

#[test]
fn the_same_members_give_the_same_bytes() {
    let signer = keys().signer();
    assert_eq!(archive(Some(&signer)), archive(Some(&signer)));
}

#[test]
fn one_byte_at_a_time_reads_as_the_whole() {
    let archive = archive(None);
    assert_eq!(
        members(Halting::one_byte(archive.as_slice())).unwrap(),
        members(archive.as_slice()).unwrap()
    );
    assert_eq!(
        members(Halting::one_byte(&archive[..3000])).unwrap_err().kind(),
        Kind::Truncated
    );
}

#[test]
fn gnu_tar_reads_and_sums_what_the_writer_writes() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(None);
    std::fs::write(folder.path().join("a.ova"), &archive).unwrap();
    let list = Command::new("tar")
        .args(["tvf", "a.ova"])
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .current_dir(folder.path())
        .output();
    let Ok(list) = list else {
        return println!("skipped: no tar");
    };
    assert!(list.status.success() && list.stderr.is_empty(), "{list:?}");
    let text = String::from_utf8(list.stdout).unwrap();
    assert!(
        text.lines()
            .all(|line| line.starts_with("-rw-r--r-- 0/0") && line.contains("1970-01-01")),
        "{text}"
    );
    assert!(text.contains("700 1970-01-01 00:00 small-disk1.vmdk"), "{text}");
}

#[test]
fn foreign_archives_of_plain_files_are_read() {
    let archive = tar(&[("a.ovf", &b"x"[..]), ("disk", &[1; 512]), ("a.mf", b"")]);
    let members = members(archive.as_slice()).unwrap();
    assert_eq!(members[2].1, Role::Manifest);
    assert_eq!(members[1].2.len(), 512);
}

#[test]
fn members_that_are_twins_or_lead_out_or_come_before_the_descriptor_are_refused_by_name() {
    for (files, kind) in [
        (vec!["a.ovf", "b", "b"], Kind::MemberDuplicate),
        (vec!["a.ovf", "b", "B"], Kind::MemberDuplicate),
        (vec!["a.ovf", "../b"], Kind::MemberName),
        (vec!["a.ovf", "/b"], Kind::MemberName),
        (vec!["b", "a.ovf"], Kind::PackageOrder),
    ] {
        let files: Vec<_> = files.iter().map(|name| (*name, &b"x"[..])).collect();
        let error = refused(&tar(&files));
        assert_eq!(error.kind(), kind, "{files:?}");
        assert!(error.place().offset.is_some());
    }
}

#[test]
fn too_many_members_are_refused() {
    let mut archive = tar(&[("a.ovf", b"")]);
    archive.truncate(512);
    for index in 0..crate::package::MAX_MEMBERS {
        let name = MemberName::parse(&format!("f{index}")).unwrap();
        archive.extend(header::write(&name, 0, 0).unwrap());
    }
    archive.extend([0; 1024]);
    assert_eq!(refused(&archive).kind(), Kind::PackageLimit);
}

#[test]
fn a_head_above_its_ceiling_is_refused_before_it_is_read() {
    for (name, size, kind) in [
        ("a.ovf", 16 << 20, None),
        ("a.ovf", (16 << 20) + 1, Some(Kind::PackageLimit)),
        ("a.mf", (1 << 20) + 1, Some(Kind::PackageLimit)),
    ] {
        let mut archive = if name == "a.mf" {
            tar(&[("a.ovf", b"")])[..512].to_vec()
        } else {
            Vec::new()
        };
        archive.extend(header::write(&MemberName::parse(name).unwrap(), size, 0).unwrap());
        let error = refused(&archive);
        assert_eq!(error.kind(), kind.unwrap_or(Kind::Truncated), "{name} {size}");
    }
}

#[test]
fn the_tail_may_end_at_the_marker_or_the_record_and_nowhere_else() {
    let whole = archive(None);
    let marker = whole.iter().rposition(|byte| *byte != 0).unwrap() / 512 * 512 + 512 + 1024;
    assert!(members(&whole[..marker]).is_ok());
    assert_eq!(refused(&whole[..marker + 512]).kind(), Kind::Truncated);
    let mut longer = whole.clone();
    longer.resize(whole.len() + 512, 0);
    assert_eq!(refused(&longer).kind(), Kind::TrailingData);
    let mut reader = Reader::new(longer.as_slice());
    reader.tolerate_trailing_zeros();
    while reader.next_member().unwrap().is_some() {}
    *longer.last_mut().unwrap() = 1;
    let mut reader = Reader::new(longer.as_slice());
    reader.tolerate_trailing_zeros();
    let mut last = Ok(true);
    while matches!(last, Ok(true)) {
        last = reader.next_member().map(|member| member.is_some());
    }
    assert_eq!(last.unwrap_err().kind(), Kind::TrailingData);
}

#[test]
fn jumping_over_members_finds_the_same_archive_and_the_same_end() {
    let whole = archive(None);
    let list = |bytes: &[u8]| {
        let mut reader = Reader::seekable(Cursor::new(bytes.to_vec()));
        let mut names = Vec::new();
        while let Some(member) = reader.next_member()? {
            names.push(member.name().to_string());
        }
        Ok::<_, Error>(names)
    };
    assert_eq!(list(&whole).unwrap().len(), 4);
    let disk = whole.windows(700).position(|bytes| bytes == DISKS[0]).unwrap();
    let error = list(&whole[..disk + 100]).unwrap_err();
    assert_eq!(
        (error.kind(), error.place().member.as_deref()),
        (Kind::Truncated, Some("small-disk1.vmdk"))
    );
}

#[test]
fn the_writer_holds_its_caller_to_the_layout() {
    let layout = || Layout {
        base_name: "a".to_owned(),
        files: vec![MemberName::parse("disk").unwrap()],
        descriptor_len: 600,
        algorithm: DigestAlgorithm::Sha256,
        signer: None,
        mtime: 0,
    };
    let kind = |result: Result<Written, Error>| result.unwrap_err().kind();
    let create = || Writer::create(Cursor::new(Vec::new()), layout()).unwrap();
    assert_eq!(kind(create().finish(vec![b'x'])), Kind::PackageLayout);
    assert_eq!(
        create().member("other").map(|_| ()).unwrap_err().kind(),
        Kind::PackageLayout
    );
    let mut writer = create();
    drop(writer.next_member().unwrap());
    assert_eq!(
        writer.next_member().map(|_| ()).unwrap_err().kind(),
        Kind::PackageLayout
    );
    assert_eq!(kind(writer.finish(vec![b'x'])), Kind::PackageLayout);
    let mut writer = create();
    writer.next_member().unwrap().finish().unwrap();
    assert_eq!(kind(writer.finish(vec![b'x'; 1025])), Kind::PackageLayout);
    for (base_name, file) in [
        ("a", "A.OVF"),
        ("a", "a.cert"),
        ("../a", "disk"),
        (&"n".repeat(97), "disk"),
    ] {
        let layout = Layout {
            base_name: base_name.to_owned(),
            files: vec![MemberName::parse(file).unwrap()],
            ..layout()
        };
        let error = Writer::create(Cursor::new(Vec::new()), layout)
            .map(|_| ())
            .unwrap_err();
        assert!(
            matches!(error.kind(), Kind::MemberDuplicate | Kind::MemberName),
            "{base_name} {file}"
        );
    }
}

#[test]
fn a_descriptor_shorter_than_foreseen_by_blocks_is_filled_with_line_ends() {
    let layout = Layout {
        base_name: "a".to_owned(),
        files: Vec::new(),
        descriptor_len: 2000,
        algorithm: DigestAlgorithm::Sha256,
        signer: None,
        mtime: 0,
    };
    let mut out = Cursor::new(Vec::new());
    let writer = Writer::create(&mut out, layout).unwrap();
    let written = writer.finish(b"<a/>".to_vec()).unwrap();
    assert_eq!(written.members[0].size, 3 * 512 + 1);
    let members = members(out.get_ref().as_slice()).unwrap();
    assert_eq!(members[0].2.trim_ascii_end(), b"<a/>");
    assert_eq!(
        written.members[0].digest,
        DigestAlgorithm::Sha256.digest(&members[0].2)
    );
}

#[test]
fn a_folder_gives_the_members_that_an_archive_would() {
    let whole = archive(None);
    let folder = tempfile::tempdir().unwrap();
    let members = members(whole.as_slice()).unwrap();
    for (name, _, bytes) in &members {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    std::fs::write(folder.path().join("unrelated"), b"x").unwrap();
    let mut source = Source::open(&folder.path().join("small.ovf")).unwrap();
    let mut found = Vec::new();
    while let Some(mut member) = source.next_member().unwrap() {
        let bytes = member.read_all().unwrap();
        found.push((member.name().to_string(), member.role(), bytes));
    }
    assert_eq!(found, members);
    let read = Source::open(&folder.path().join("small.ovf"))
        .unwrap()
        .read_descriptor()
        .unwrap();
    assert_eq!(read, descriptor([700, 11]));
}

#[cfg(unix)]
#[test]
fn a_link_in_a_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = descriptor([1, 1]).render().unwrap();
    std::fs::write(folder.path().join("small.ovf"), bytes).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("small-disk1.vmdk")).unwrap();
    let mut source = Source::open(&folder.path().join("small.ovf")).unwrap();
    source.next_member().unwrap();
    let error = source.next_member().map(|_| ()).unwrap_err();
    assert_eq!(
        (error.kind(), error.place().member.as_deref()),
        (Kind::MemberType, Some("small-disk1.vmdk"))
    );
}

#[test]
fn a_member_written_in_pieces_is_digested_as_a_whole() {
    let layout = Layout {
        base_name: "a".to_owned(),
        files: vec![MemberName::parse("disk").unwrap()],
        descriptor_len: 10,
        algorithm: DigestAlgorithm::Sha512,
        signer: None,
        mtime: 1,
    };
    let mut writer = Writer::create(Cursor::new(Vec::new()), layout).unwrap();
    let mut member = writer.next_member().unwrap();
    for piece in DISKS[0].chunks(13) {
        member.write_all(piece).unwrap();
    }
    let written = member.finish().unwrap();
    assert_eq!(
        (written.size, written.digest),
        (700, DigestAlgorithm::Sha512.digest(DISKS[0]))
    );
}

#[test]
fn archives_of_the_field_are_accepted_or_refused_as_known() {
    let Some(corpus) = corpus() else { return };
    let mut found = Vec::new();
    for path in files_under(&corpus)
        .iter()
        .filter(|path| path.extension().is_some_and(|it| it == "ova"))
    {
        let outcome = match members(std::fs::File::open(path).unwrap()) {
            Ok(members) => format!("{} members", members.len()),
            Err(error) => error.code().to_owned(),
        };
        found.push((path.file_name().unwrap().to_string_lossy().into_owned(), outcome));
    }
    println!("{} archives: {found:?}", found.len());
    let known = [
        ("no_ovf.ova", "package.header"),
        ("ova.ova", "package.header"),
        ("testserver-bad-ovf.ova", "2 members"),
        ("testserver-no-disk.ova", "1 members"),
        ("testserver-no-ovf.ova", "package.order"),
        ("testserver-not-tar.ova", "package.header"),
        ("testserver.ova", "2 members"),
    ];
    for (name, outcome) in known {
        assert!(
            found.contains(&(name.to_owned(), outcome.to_owned())),
            "{name}: {outcome}, found {found:?}"
        );
    }
}
