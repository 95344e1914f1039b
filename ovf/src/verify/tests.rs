use std::io::{Cursor, Read};

use super::*;
use crate::certificate::Certificate;
use crate::error::{Error, Kind};
use crate::fixture::{NOW, archive, keys, least_archive, publisher_params};
use crate::manifest::{DigestAlgorithm, Manifest};
use crate::package::MemberName;
use crate::package::ova::Reader;

type Members = Vec<(String, Vec<u8>)>;

fn policy() -> Policy {
    Policy::at(NOW).trusting(keys().roots())
}

fn judge(archive: Vec<u8>, policy: &Policy) -> Verdict {
    verify(&mut Source::stream(Cursor::new(archive)), policy)
}

fn signed() -> Vec<u8> {
    archive(Some(&keys().signer()))
}

fn members_of(archive: &[u8]) -> Members {
    let mut reader = Reader::new(archive);
    let mut members = Vec::new();
    while let Some(mut member) = reader.next_member().unwrap() {
        members.push((member.name().to_string(), member.read_all().unwrap()));
    }
    members
}

/// An archive of these members, made by a builder that asks nothing.
fn pack(members: &Members) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).unwrap();
    }
    let mut archive = builder.into_inner().unwrap();
    archive.resize(archive.len().next_multiple_of(10240), 0);
    archive
}

fn place(members: &Members, name: &str) -> usize {
    members.iter().position(|(own, _)| own == name).unwrap()
}

/// The codes that failed, each with the member it names.
fn failures(verdict: &Verdict) -> Vec<(&str, Option<&str>)> {
    verdict
        .failures()
        .map(|check| (check.code, check.member.as_deref()))
        .collect()
}

/// Signs the members anew after a change, as an insider could.
fn reseal(members: &mut Members, change: impl FnOnce(&mut Members)) {
    change(members);
    let mut manifest = Manifest::new();
    for (name, bytes) in members
        .iter()
        .filter(|(name, _)| !name.ends_with(".mf") && !name.ends_with(".cert"))
    {
        manifest
            .add(
                MemberName::parse(name).unwrap(),
                DigestAlgorithm::Sha256.digest(bytes),
            )
            .unwrap();
    }
    seal(members, &manifest.render());
}

fn seal(members: &mut Members, manifest: &[u8]) {
    let at = place(members, "small.mf");
    members[at].1 = manifest.to_vec();
    let at = place(members, "small.cert");
    members[at].1 = keys().signer().sign("small.mf", manifest).unwrap();
}

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
fn a_sealed_manifest_must_cover_everything_once_and_strongly() {
    let members = members_of(&signed());
    let text = String::from_utf8(members[1].1.clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let sha1 = format!("SHA1(small.ovf)= {}", DigestAlgorithm::Sha1.digest(&members[0].1));
    let rows = [
        (
            vec![lines[1], lines[2]],
            "manifest.descriptor-uncovered",
            Some("small.ovf"),
        ),
        (
            vec![lines[0], lines[1]],
            "manifest.uncovered",
            Some("small-disk2.vmdk"),
        ),
        (
            vec![lines[0], lines[1], lines[2], lines[2]],
            "manifest.duplicate",
            Some("small.mf"),
        ),
        (
            vec![&sha1, lines[1], lines[2]],
            "manifest.weak-digest",
            Some("small.ovf"),
        ),
        (
            vec![lines[0], lines[1], lines[2], "rubbish"],
            "manifest.malformed",
            Some("small.mf"),
        ),
    ];
    for (lines, code, member) in rows {
        let mut members = members.clone();
        seal(&mut members, (lines.join("\n") + "\n").as_bytes());
        let verdict = judge(pack(&members), &policy());
        let found = failures(&verdict);
        assert!(
            found.contains(&(code, member)),
            "{code} of {member:?}, found {found:?}"
        );
    }
    let mut members = members;
    seal(
        &mut members,
        format!("{sha1}\n{}\n{}\n", lines[1], lines[2]).as_bytes(),
    );
    let tolerant = Policy {
        tolerances: vec![Tolerance::Sha1],
        ..policy()
    };
    assert!(judge(pack(&members), &tolerant).is_accepted());
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
fn the_policy_decides_what_an_unsigned_package_is() {
    let unsigned = archive(None);
    assert!(judge(unsigned.clone(), &Policy::at(NOW)).is_accepted());
    let required = Policy {
        require_signature: true,
        ..Policy::at(NOW)
    };
    assert_eq!(
        failures(&judge(unsigned.clone(), &required)),
        [("certificate.missing", None)]
    );
    // Roots alone require a signature: stripping it must not help.
    let rooted = Policy {
        roots: keys().roots(),
        ..Policy::at(NOW)
    };
    assert_eq!(
        failures(&judge(unsigned.clone(), &rooted)),
        [("certificate.missing", None)]
    );
    let mut members = members_of(&unsigned);
    members.remove(1);
    assert_eq!(
        failures(&judge(pack(&members), &Policy::at(NOW))),
        [("manifest.missing", None)]
    );
    let lax = Policy {
        require_manifest: false,
        ..Policy::at(NOW)
    };
    assert!(judge(pack(&members), &lax).is_accepted());
}

#[test]
fn each_fault_of_the_signer_is_a_failure_of_its_own() {
    let with = |certificate: Certificate, policy: &Policy| {
        let signer = crate::certificate::Signer::new(keys().signing_key(), vec![certificate]).unwrap();
        let verdict = judge(archive(Some(&signer)), policy);
        verdict.failures().map(|check| check.code).collect::<Vec<_>>()
    };
    let issued = keys().issue(&publisher_params(), &keys().publisher);
    let own = keys().self_signed(&publisher_params());
    assert_eq!(with(own.clone(), &policy()), ["certificate.untrusted"]);
    assert_eq!(
        with(own, &Policy::at(NOW)),
        [""; 0],
        "nobody is trusted by name, anybody may sign"
    );
    let late = Policy {
        now: NOW + 400 * 86_400,
        ..policy()
    };
    assert!(
        with(issued.clone(), &late)
            .iter()
            .all(|code| *code == "certificate.expired")
    );
    let early = Policy {
        now: NOW - 400 * 86_400,
        ..policy()
    };
    assert!(
        with(issued.clone(), &early)
            .iter()
            .all(|code| *code == "certificate.not-yet-valid")
    );
    let tolerant = Policy {
        tolerances: vec![Tolerance::ExpiredCertificate],
        ..late
    };
    assert_eq!(with(issued, &tolerant), [""; 0]);
}

/// The walk alone, without digests and signatures.
fn walk(archive: &[u8]) -> Result<usize, Error> {
    let mut reader = Reader::new(archive);
    let mut members = 0;
    while reader.next_member()?.is_some() {
        members += 1;
    }
    Ok(members)
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let archive = least_archive(&keys().signer());
    let policy = policy();
    let marker = archive.iter().rposition(|byte| *byte != 0).unwrap() / 512 * 512 + 512 + 1024;
    for length in (0..archive.len()).filter(|length| *length != marker) {
        let error = walk(&archive[..length]).unwrap_err();
        assert_eq!(error.kind(), Kind::Truncated, "cut at {length}");
        assert_eq!(error.place().offset, Some(length as u64));
    }
    for length in (0..archive.len()).step_by(61).filter(|length| *length != marker) {
        let verdict = judge(archive[..length].to_vec(), &policy);
        let found = failures(&verdict);
        assert!(
            found.iter().any(|(code, _)| *code == "package.truncated"),
            "cut at {length}: {found:?}"
        );
    }
    // At the end marker nothing but padding is lost: that is how some tars write archives.
    assert!(judge(archive[..marker].to_vec(), &policy).is_accepted());
}

#[test]
fn an_archive_lengthened_is_refused() {
    for tail in [vec![0; 512], vec![0; 10240], b"x".to_vec(), signed()] {
        let mut archive = signed();
        archive.extend(tail);
        let found = judge(archive, &policy());
        assert_eq!(failures(&found), [("package.trailing-data", None)]);
    }
}

#[test]
fn a_byte_changed_anywhere_is_refused() {
    let archive = least_archive(&keys().signer());
    let policy = policy();
    let end = archive.iter().rposition(|byte| *byte != 0).unwrap();
    for at in 0..archive.len() {
        let mut changed = archive.clone();
        changed[at] ^= [0x01, 0x10, 0x80, 0xFF][at % 4];
        if means_the_same(&archive, &changed, at) {
            continue;
        }
        // What stands after the last member needs no judge: the walk refuses it.
        let refused = match at > end {
            true => walk(&changed).is_err(),
            false => !judge(changed, &policy).is_accepted(),
        };
        assert!(refused, "byte {at}");
    }
}

/// Whether a change is of a byte that no reader gives a meaning: white space and leading zeros of a header's checksum
/// field, and the case of hexadecimal digits in the signature.
fn means_the_same(before: &[u8], after: &[u8], at: usize) -> bool {
    let field = at / 512 * 512;
    let is_header = before[field + 257..].starts_with(b"ustar");
    if is_header && (148..156).contains(&(at - field)) {
        let number = |bytes: &[u8]| {
            let text: String = bytes[field + 148..field + 156]
                .iter()
                .map(|byte| char::from(*byte))
                .collect();
            u32::from_str_radix(text.trim_start_matches(' ').trim_end_matches([' ', '\0']), 8).ok()
        };
        return number(before) == number(after);
    }
    before[at].is_ascii_hexdigit() && before[at].eq_ignore_ascii_case(&after[at])
}

#[test]
fn short_reads_and_single_bytes_give_the_same_verdict() {
    struct Short<R>(R, usize);
    impl<R: Read> Read for Short<R> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = self.1 * 7 % 11 + 1;
            if self.1 == 3 {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            let length = buffer.len().min(self.1);
            self.0.read(&mut buffer[..length])
        }
    }
    let archive = signed();
    let mut broken = archive.clone();
    broken[9000] ^= 1;
    for bytes in [
        archive.clone(),
        broken,
        archive[..7000].to_vec(),
        b"no archive".to_vec(),
        Vec::new(),
    ] {
        let whole = judge(bytes.clone(), &policy());
        for step in [1, 2] {
            let slow = verify(
                &mut Source::stream(Short(Cursor::new(bytes.clone()), step)),
                &policy(),
            );
            assert_eq!(slow, whole);
        }
    }
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
fn the_verdict_as_json_has_stable_names() {
    let verdict = judge(
        archive(None),
        &Policy {
            require_signature: true,
            ..Policy::at(NOW)
        },
    );
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["accepted"], false);
    let failed: Vec<_> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["outcome"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["code"], "certificate.missing");
    let codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
    assert!(verdict.checks().iter().all(|check| codes.contains(&check.code)));
}

#[test]
fn tolerances_are_found_by_their_names() {
    for tolerance in Tolerance::all() {
        assert_eq!(Tolerance::parse(tolerance.name()), Some(tolerance));
    }
    assert_eq!(Tolerance::parse("everything"), None);
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
