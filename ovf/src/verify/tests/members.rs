use super::*;

#[test]
fn a_package_as_it_was_made_is_accepted_and_its_signer_named() {
    let verdict = judge(signed(), &policy());
    assert!(verdict.is_accepted(), "{:?}", failures(&verdict));
    assert_eq!(verdict.signer().unwrap().subject, "CN=Publisher");
    assert!(
        judge(pack(&members_of(&signed())), &policy()).is_accepted(),
        "packing again changes nothing"
    );
}

#[test]
fn the_tamper_table() {
    type Change = fn(&mut Members);
    let rows: &[(&str, Change, &str, Option<&str>)] = &[
        (
            "a byte of the descriptor",
            |m| m[0].1[900] ^= 1,
            "manifest.digest",
            Some("small.ovf"),
        ),
        (
            "a byte of the manifest",
            |m| m[1].1[30] ^= 1,
            "certificate.signature",
            Some("small.cert"),
        ),
        (
            "a byte of the signature",
            |m| m[2].1[40] = if m[2].1[40] == b'0' { b'1' } else { b'0' },
            "certificate.signature",
            Some("small.cert"),
        ),
        (
            "a byte of the certificate",
            |m| {
                let at = m[2].1.len() - 900;
                m[2].1[at] ^= 1
            },
            "*",
            Some("small.cert"),
        ),
        (
            "a byte of the first disk",
            |m| m[3].1[699] ^= 1,
            "manifest.digest",
            Some("small-disk1.vmdk"),
        ),
        (
            "a byte of the second disk",
            |m| m[4].1[0] ^= 0x80,
            "manifest.digest",
            Some("small-disk2.vmdk"),
        ),
        (
            "a byte more of a disk",
            |m| m[4].1.push(0),
            "package.size",
            Some("small-disk2.vmdk"),
        ),
        (
            "the descriptor missing",
            |m| drop(m.remove(0)),
            "package.order",
            Some("small.mf"),
        ),
        (
            "the manifest missing",
            |m| drop(m.remove(1)),
            "manifest.missing",
            None,
        ),
        (
            "the certificate missing",
            |m| drop(m.remove(2)),
            "certificate.missing",
            None,
        ),
        (
            "manifest and certificate missing",
            |m| drop(m.drain(1..3)),
            "certificate.missing",
            None,
        ),
        (
            "a disk missing",
            |m| drop(m.remove(3)),
            "package.missing",
            Some("small-disk1.vmdk"),
        ),
        (
            "the last disk missing",
            |m| drop(m.pop()),
            "manifest.absent",
            Some("small-disk2.vmdk"),
        ),
        (
            "a member added",
            |m| m.push(("extra.iso".into(), vec![1])),
            "package.unlisted",
            Some("extra.iso"),
        ),
        (
            "a member added at the front",
            |m| m.insert(3, ("extra".into(), vec![1])),
            "manifest.uncovered",
            Some("extra"),
        ),
        (
            "a disk doubled",
            |m| m.push(m[3].clone()),
            "package.duplicate",
            Some("small-disk1.vmdk"),
        ),
        (
            "the descriptor doubled",
            |m| m.push(m[0].clone()),
            "package.duplicate",
            Some("small.ovf"),
        ),
        (
            "the manifest doubled",
            |m| m.push(m[1].clone()),
            "package.duplicate",
            Some("small.mf"),
        ),
        (
            "a disk doubled in capitals",
            |m| m.push(("SMALL-DISK1.VMDK".into(), m[3].1.clone())),
            "package.duplicate",
            Some("SMALL-DISK1.VMDK"),
        ),
        (
            "a disk renamed",
            |m| m[4].0 = "other.vmdk".into(),
            "package.unlisted",
            Some("other.vmdk"),
        ),
        (
            "a disk renamed, the gap",
            |m| m[4].0 = "other.vmdk".into(),
            "package.missing",
            Some("small-disk2.vmdk"),
        ),
        (
            "the descriptor renamed",
            |m| m[0].0 = "other.ovf".into(),
            "package.unlisted",
            Some("small.mf"),
        ),
        (
            "the manifest renamed",
            |m| m[1].0 = "other.mf".into(),
            "package.unlisted",
            Some("other.mf"),
        ),
        (
            "the certificate renamed",
            |m| m[2].0 = "other.cert".into(),
            "certificate.missing",
            None,
        ),
        (
            "disks in other order",
            |m| m.swap(3, 4),
            "package.order",
            Some("small-disk1.vmdk"),
        ),
        (
            "contents of disks exchanged",
            |m| {
                let a = m[3].1.clone();
                m[3].1 = m[4].1.clone();
                m[4].1 = a
            },
            "manifest.digest",
            Some("small-disk1.vmdk"),
        ),
        (
            "certificate before manifest",
            |m| m.swap(1, 2),
            "package.order",
            Some("small.mf"),
        ),
        (
            "manifest between disks",
            |m| {
                let it = m.remove(1);
                m.insert(3, it)
            },
            "package.order",
            Some("small.mf"),
        ),
        (
            "a disk before the descriptor",
            |m| m.swap(0, 3),
            "package.order",
            Some("small-disk1.vmdk"),
        ),
        (
            "a name that climbs out",
            |m| m[4].0 = "../small-disk2.vmdk".into(),
            "package.member-name",
            Some("small-disk1.vmdk"),
        ),
    ];
    for (what, change, code, member) in rows {
        let mut members = members_of(&signed());
        change(&mut members);
        let verdict = judge(pack(&members), &policy());
        assert!(!verdict.is_accepted(), "{what}");
        let found = failures(&verdict);
        let named = found
            .iter()
            .any(|(own, of)| (own == code || *code == "*") && of == member);
        assert!(named, "{what}: {code} of {member:?}, found {found:?}");
    }
}

#[test]
fn what_an_insider_seals_must_still_agree_with_the_descriptor() {
    type Change = fn(&mut Members);
    let rows: &[(&str, Change, &str, Option<&str>)] = &[
        (
            "a longer disk",
            |m| m[3].1.push(0),
            "package.size",
            Some("small-disk1.vmdk"),
        ),
        (
            "an unlisted member",
            |m| m.push(("extra".into(), vec![])),
            "package.unlisted",
            Some("extra"),
        ),
        (
            "a dropped member",
            |m| drop(m.pop()),
            "package.missing",
            Some("small-disk2.vmdk"),
        ),
        (
            "a broken descriptor",
            |m| m[0].1 = b"<Envelope/>".to_vec(),
            "descriptor.namespace",
            Some("small.ovf"),
        ),
        (
            "an entity",
            |m| m[0].1 = b"<!DOCTYPE x><x/>".to_vec(),
            "xml.doctype",
            Some("small.ovf"),
        ),
    ];
    for (what, change, code, member) in rows {
        let mut members = members_of(&signed());
        reseal(&mut members, change);
        let verdict = judge(pack(&members), &policy());
        let found = failures(&verdict);
        assert!(
            found.contains(&(*code, *member)),
            "{what}: {code} of {member:?}, found {found:?}"
        );
    }
}

#[test]
fn manifest_and_certificate_may_stand_at_the_very_end() {
    let mut members = members_of(&signed());
    members[1..].rotate_left(2);
    assert_eq!(members[4].0, "small.cert");
    let verdict = judge(pack(&members), &policy());
    assert!(verdict.is_accepted(), "{:?}", failures(&verdict));
    members[1].1[5] ^= 1;
    let verdict = judge(pack(&members), &policy());
    assert_eq!(
        failures(&verdict),
        [("manifest.digest", Some("small-disk1.vmdk"))]
    );
}

#[test]
fn a_folder_is_judged_as_its_archive() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in members_of(&signed()) {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let judge = || {
        verify(
            &mut Source::open(&folder.path().join("small.ovf")).unwrap(),
            &policy(),
        )
    };
    assert!(judge().is_accepted(), "{:?}", failures(&judge()));
    std::fs::write(folder.path().join("small-disk2.vmdk"), b"second disK").unwrap();
    assert_eq!(
        failures(&judge()),
        [("manifest.digest", Some("small-disk2.vmdk"))]
    );
    std::fs::remove_file(folder.path().join("small-disk2.vmdk")).unwrap();
    let found = judge();
    assert!(failures(&found).contains(&("package.missing", Some("small-disk2.vmdk"))));
    std::fs::remove_file(folder.path().join("small.ovf")).unwrap();
    assert!(!judge().is_accepted());
}

#[test]
fn a_file_in_chunks_is_judged_chunk_by_chunk() {
    let chunked = |size: &str, parts: &[(&str, usize)]| {
        let descriptor = format!(
            "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1' xmlns:o='http://schemas.dmtf.org/ovf/envelope/1'>\
             <References><File o:id='f' o:href='disk' {size} o:chunkSize='4'/></References>\
             <VirtualSystem o:id='s'><Info/></VirtualSystem></Envelope>"
        );
        let mut members: Members = vec![
            ("a.ovf".to_owned(), descriptor.into_bytes()),
            ("a.mf".to_owned(), Vec::new()),
        ];
        members.extend(
            parts
                .iter()
                .map(|(name, length)| ((*name).to_owned(), vec![1; *length])),
        );
        let mut manifest = Manifest::new();
        for (name, bytes) in members.iter().filter(|(name, _)| name != "a.mf") {
            manifest
                .add(
                    MemberName::parse(name).unwrap(),
                    DigestAlgorithm::Sha256.digest(bytes),
                )
                .unwrap();
        }
        members[1].1 = manifest.render();
        let verdict = judge(pack(&members), &Policy::at(NOW));
        failures(&verdict)
            .iter()
            .map(|(code, _)| (*code).to_owned())
            .collect::<Vec<_>>()
    };
    let (one, two, three) = ("disk.000000000", "disk.000000001", "disk.000000002");
    let told = "o:size='10'";
    assert!(chunked(told, &[(one, 4), (two, 4), (three, 2)]).is_empty());
    assert_eq!(chunked(told, &[(one, 4), (two, 4)]), ["package.missing"]);
    assert_eq!(chunked(told, &[(one, 4), (two, 3), (three, 3)]), ["package.size"]);
    assert_eq!(chunked(told, &[(one, 4), (two, 4), (three, 3)]), ["package.size"]);
    assert_eq!(
        chunked(told, &[(one, 4), (three, 2), (two, 4)]),
        ["package.order"]
    );
    assert!(chunked("", &[(one, 4), (two, 4), (three, 1)]).is_empty());
    assert_eq!(chunked("", &[(one, 4), (three, 1)]), ["package.unlisted"]);
    // vSphere tells a chunk size for files that are smaller than one, and leaves their name alone.
    assert!(chunked("o:size='3'", &[("disk", 3)]).is_empty());
    assert!(chunked("o:size='3'", &[(one, 3)]).is_empty());
    assert!(!chunked("o:size='3'", &[("disk", 3), (one, 3)]).is_empty());
}
