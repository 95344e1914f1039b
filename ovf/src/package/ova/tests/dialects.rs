//! Dialects of tar, written by the tools that have them.

use super::*;

/// A reader that tolerates the dialects named.
fn tolerant(archive: &[u8], pax: bool, long_names: bool) -> Result<Vec<(String, u64)>, Error> {
    let mut reader = Reader::new(archive);
    if pax {
        reader.tolerate_pax();
    }
    if long_names {
        reader.tolerate_long_names();
    }
    let mut members = Vec::new();
    while let Some(member) = reader.next_member()? {
        members.push((member.name().to_string(), member.size()));
    }
    Ok(members)
}

/// An archive with a header of this kind and content before its second member.
fn with_header(kind: ::tar::EntryType, content: &[u8]) -> Vec<u8> {
    let mut archive = tar(&[("a.ovf", b"x")])[..1024].to_vec();
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_cksum();
    archive.extend(header.as_bytes());
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive.extend(&tar(&[("disk", b"x")]));
    archive
}

fn kind(result: Result<Vec<(String, u64)>, Error>) -> Kind {
    result.unwrap_err().kind()
}

#[test]
fn pax_times_pass_and_paths_pass_only_where_they_are_tolerated() {
    let pax = |record: &[u8]| with_header(::tar::EntryType::XHeader, record);
    assert_eq!(
        tolerant(&pax(b"20 mtime=1700000.25\n"), false, false)
            .unwrap()
            .len(),
        2
    );
    let path = pax(b"13 path=name\n");
    assert_eq!(kind(tolerant(&path, false, true)), Kind::ArchiveHeader);
    assert_eq!(tolerant(&path, true, false).unwrap()[1], ("name".to_owned(), 1));
    let twin = pax(b"14 path=A.ovf\n");
    assert_eq!(kind(tolerant(&twin, true, false)), Kind::MemberDuplicate);
}

#[test]
fn a_pax_size_may_be_repeated_and_never_be_another() {
    let pax = |record: &[u8]| with_header(::tar::EntryType::XHeader, record);
    assert_eq!(
        kind(tolerant(&pax(b"9 size=1\n"), false, false)),
        Kind::ArchiveHeader
    );
    assert_eq!(tolerant(&pax(b"9 size=1\n"), true, false).unwrap().len(), 2);
    for record in [&b"12 size=999\n"[..], b"9 size=0\n"] {
        let error = tolerant(&pax(record), true, true).unwrap_err();
        assert_eq!(error.kind(), Kind::ArchiveHeader);
        assert_eq!(error.place().member.as_deref(), Some("disk"));
        assert!(error.place().offset.is_some());
    }
}

#[test]
fn global_pax_headers_are_refused_always() {
    let archive = with_header(::tar::EntryType::XGlobalHeader, b"20 mtime=1700000.25\n");
    assert_eq!(kind(tolerant(&archive, true, true)), Kind::MemberType);
}

#[test]
fn gnu_long_names_pass_only_where_they_are_tolerated() {
    let archive = with_header(::tar::EntryType::GNULongName, b"a-long-name\0");
    assert_eq!(kind(tolerant(&archive, true, false)), Kind::ArchiveHeader);
    assert_eq!(
        tolerant(&archive, false, true).unwrap()[1],
        ("a-long-name".to_owned(), 1)
    );
    for content in [&b"../x\0"[..], b"\0", b"a\0b\0", &[b'n'; 300]] {
        let archive = with_header(::tar::EntryType::GNULongName, content);
        assert_eq!(kind(tolerant(&archive, true, true)), Kind::MemberName);
    }
    let link = with_header(::tar::EntryType::GNULongLink, b"a-long-name\0");
    assert_eq!(kind(tolerant(&link, true, true)), Kind::MemberType);
}

#[test]
fn one_header_before_a_member_is_enough_and_its_size_has_a_ceiling() {
    let one = with_header(::tar::EntryType::XHeader, b"13 path=name\n");
    let mut two = one[..2048].to_vec();
    two.extend(&with_header(::tar::EntryType::GNULongName, b"other\0")[1024..]);
    assert_eq!(kind(tolerant(&two, true, true)), Kind::ArchiveHeader);
    let large = with_header(::tar::EntryType::XHeader, &[b'x'; (64 << 10) + 1]);
    assert_eq!(kind(tolerant(&large, true, true)), Kind::ArchiveHeader);
    let mut none = one[..2048].to_vec();
    none.resize(none.len() + 1024, 0);
    assert_eq!(kind(tolerant(&none, true, true)), Kind::ArchiveHeader);
}

#[test]
fn what_gnu_tar_writes_in_its_formats_is_read_where_it_is_tolerated() {
    let folder = tempfile::tempdir().unwrap();
    let long = "n".repeat(150);
    for name in ["a.ovf", &long] {
        std::fs::write(folder.path().join(name), b"x").unwrap();
    }
    for (format, pax, long_names) in [("gnu", false, true), ("pax", true, false)] {
        let written = Command::new("tar")
            .args(["cf", "a.ova", "--format", format, "a.ovf", &long])
            .current_dir(folder.path())
            .output();
        let Ok(written) = written else {
            return println!("skipped: no tar");
        };
        assert!(written.status.success(), "{written:?}");
        let archive = std::fs::read(folder.path().join("a.ova")).unwrap();
        assert_eq!(
            kind(tolerant(&archive, false, false)),
            Kind::ArchiveHeader,
            "{format}"
        );
        let members = tolerant(&archive, pax, long_names).unwrap();
        assert_eq!(members[1], (long.clone(), 1), "{format}");
    }
}
