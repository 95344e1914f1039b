//! The signed appliance, changed in every way that its trip over the network could change it: each change is refused
//! by `ova verify`, by the rule and with the member that are to blame.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::process::Command;

use e2e::archive::{Archive, Member};
use e2e::verdict::{Refusal, refusals};
use e2e::{artefacts, recipe};
use tempfile::TempDir;

const OVF: &str = "vcc-node.ovf";
const MF: &str = "vcc-node.mf";
const CERT: &str = "vcc-node.cert";
const SYSTEM: &str = "vcc-node-system.vmdk";
const STATE: &str = "vcc-node-state.vmdk";
const MEMBERS: [&str; 5] = [OVF, MF, CERT, SYSTEM, STATE];

/// A rule, and the member that it must name; no member for rules about the archive as a whole.
type Blame = (&'static str, Option<&'static str>);

fn original() -> Archive {
    Archive::read(&artefacts::package())
}

fn verify(bytes: &[u8]) -> Vec<Refusal> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vcc-node.ova");
    std::fs::write(&path, bytes).unwrap();
    refusals(&path, &artefacts::key("ca.pem"))
}

fn assert_refused(what: &str, archive: &Archive, blame: Blame) {
    assert_bytes_refused(what, &archive.to_bytes(), blame);
}

fn assert_bytes_refused(what: &str, bytes: &[u8], (code, member): Blame) {
    let found = verify(bytes);
    let named = |refusal: &Refusal| {
        refusal.code == code && member.is_none_or(|name| refusal.member.as_deref() == Some(name))
    };
    assert!(
        found.iter().any(named),
        "{what}: {code} of {member:?} is not among {found:?}"
    );
}

/// Changes one member's bytes and leaves the archive sound.
fn with_member(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Archive {
    let mut archive = original();
    let member = archive.member(name);
    let mut bytes = std::mem::take(&mut member.bytes);
    change(&mut bytes);
    member.replace(bytes);
    archive
}

#[test]
fn the_untouched_package_is_accepted() {
    assert_eq!(original().names(), MEMBERS);
    assert_eq!(
        original().to_bytes(),
        std::fs::read(artefacts::package()).unwrap()
    );
    assert_eq!(verify(&original().to_bytes()), []);
}

#[test]
fn one_flipped_bit_in_any_member_is_refused() {
    for name in MEMBERS {
        let length = original().member(name).bytes.len();
        for (what, position) in [("start", 0), ("middle", length / 2), ("end", length - 1)] {
            let archive = with_member(name, |bytes| bytes[position] ^= 0x04);
            let found = verify(&archive.to_bytes());
            let blamed = found.iter().any(|refusal| match name {
                // A changed manifest is told by the signature over it, or by its own spelling.
                MF => [
                    "certificate.signature",
                    "manifest.malformed",
                    "manifest.algorithm",
                ]
                .contains(&refusal.code.as_str()),
                CERT => refusal.code.starts_with("certificate.") && refusal.member.as_deref() == Some(CERT),
                _ => refusal.code == "manifest.digest" && refusal.member.as_deref() == Some(name),
            });
            assert!(blamed, "{what} of {name}: {found:?}");
        }
    }
}

#[test]
fn one_flipped_bit_in_any_header_is_refused() {
    for (index, name) in MEMBERS.iter().enumerate() {
        for offset in [0, 100, 124, 136, 148, 156, 257, 300, 511] {
            let mut archive = original();
            archive.members[index].header.as_mut_bytes()[offset] ^= 0x01;
            let found = verify(&archive.to_bytes());
            assert!(
                !found.is_empty(),
                "byte {offset} of the header of {name} went unseen"
            );
        }
    }
}

#[test]
fn one_set_bit_in_the_padding_after_a_member_is_refused() {
    let archive = original();
    let mut bytes = archive.to_bytes();
    let end_of_descriptor = 512 + archive.members[0].bytes.len();
    assert_ne!(
        end_of_descriptor % 512,
        0,
        "this descriptor has no padding to change"
    );
    bytes[end_of_descriptor] = 1;
    assert_bytes_refused("padding", &bytes, ("package.padding", None));
}

#[test]
fn a_missing_member_is_refused() {
    let rows: [(&str, Blame); 5] = [
        (OVF, ("package.order", None)),
        (MF, ("manifest.missing", None)),
        (CERT, ("certificate.missing", None)),
        (SYSTEM, ("package.missing", Some(SYSTEM))),
        (STATE, ("package.missing", Some(STATE))),
    ];
    for (name, blame) in rows {
        let mut archive = original();
        archive.members.remove(archive.position(name));
        assert_refused(&format!("without {name}"), &archive, blame);
    }
    let mut unsigned = original();
    unsigned
        .members
        .retain(|member| member.name() != MF && member.name() != CERT);
    assert_refused(
        "without manifest and certificate",
        &unsigned,
        ("manifest.missing", None),
    );
}

#[test]
fn an_added_member_is_refused_wherever_it_stands() {
    for position in 1..=MEMBERS.len() {
        let mut archive = original();
        let added = Member::like(&archive.members[0], "extra.bin", b"more");
        archive.members.insert(position, added);
        let found = verify(&archive.to_bytes());
        let rules = ["package.unlisted", "manifest.uncovered", "package.order"];
        let named = |refusal: &Refusal| {
            rules.contains(&refusal.code.as_str()) && refusal.member.as_deref() == Some("extra.bin")
        };
        assert!(found.iter().any(named), "at {position}: {found:?}");
    }
}

#[test]
fn a_doubled_member_is_refused() {
    for name in MEMBERS {
        let mut archive = original();
        let again = archive.member(name).clone();
        archive.members.push(again);
        assert_refused(
            &format!("{name} twice"),
            &archive,
            ("package.duplicate", Some(name)),
        );
    }
    let mut archive = original();
    let shouting = Member::like(&archive.members[0], "VCC-NODE-STATE.VMDK", b"other");
    archive.members.push(shouting);
    assert_refused(
        "the same name in capitals",
        &archive,
        ("package.duplicate", Some("VCC-NODE-STATE.VMDK")),
    );
}

#[test]
fn a_renamed_member_is_refused() {
    let rows: [(&str, &str, Blame); 6] = [
        (OVF, "other.ovf", ("manifest.missing", None)),
        (MF, "other.mf", ("manifest.missing", None)),
        (CERT, "other.cert", ("certificate.missing", None)),
        (SYSTEM, "other.vmdk", ("package.missing", Some(SYSTEM))),
        (STATE, "VCC-NODE-STATE.VMDK", ("package.missing", Some(STATE))),
        (STATE, "../vcc-node-state.vmdk", ("package.member-name", None)),
    ];
    for (name, new, blame) in rows {
        let mut archive = original();
        let old = archive.member(name);
        if new.starts_with("..") {
            // The tar crate refuses to write such a name, which is why it is written past it.
            old.header.as_old_mut().name[..new.len() + 1].copy_from_slice(format!("{new}\0").as_bytes());
            old.header.set_cksum();
        } else {
            old.rename(new);
        }
        assert_refused(&format!("{name} as {new}"), &archive, blame);
    }
}

#[test]
fn two_members_in_each_other_s_place_are_refused() {
    for (first, second) in [
        (OVF, MF),
        (MF, CERT),
        (CERT, SYSTEM),
        (SYSTEM, STATE),
        (OVF, STATE),
    ] {
        let mut archive = original();
        let places = (archive.position(first), archive.position(second));
        archive.members.swap(places.0, places.1);
        assert_refused(
            &format!("{first} and {second}"),
            &archive,
            ("package.order", None),
        );
    }
}

#[test]
fn two_disks_under_each_other_s_name_are_refused() {
    let mut archive = original();
    archive.member(SYSTEM).rename("x.vmdk");
    archive.member(STATE).rename(SYSTEM);
    archive.member("x.vmdk").rename(STATE);
    let places = (archive.position(SYSTEM), archive.position(STATE));
    archive.members.swap(places.0, places.1);
    for name in [SYSTEM, STATE] {
        assert_refused("disks exchanged", &archive, ("manifest.digest", Some(name)));
    }
}

#[test]
fn a_truncated_archive_is_refused_wherever_it_ends() {
    let bytes = original().to_bytes();
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    // What ends a VMDK is a sector of zeros, too: the archive's own end begins one sector later.
    let end = (bytes.len() - zeros).next_multiple_of(512) + 512;
    let lengths = [
        0,
        1,
        511,
        512,
        513,
        4096,
        bytes.len() / 2,
        end - 512,
        end - 1,
        end,
        end + 1,
        end + 512,
        end + 1023,
        bytes.len() - 1,
    ];
    for length in lengths {
        let found = verify(&bytes[..length]);
        let rules = ["package.truncated", "package.format"];
        assert!(
            found.iter().any(|refusal| rules.contains(&refusal.code.as_str())),
            "{length} bytes: {found:?}"
        );
    }
}

#[test]
fn an_extended_archive_is_refused() {
    let bytes = original().to_bytes();
    let tails: [(&str, Vec<u8>); 4] = [
        ("a letter", b"x".to_vec()),
        ("a block of letters", vec![b'x'; 512]),
        ("a second archive", bytes.clone()),
        ("zeros that are no block", vec![0; 100]),
    ];
    for (what, tail) in tails {
        assert_bytes_refused(
            what,
            &[&bytes[..], &tail].concat(),
            ("package.trailing-data", None),
        );
    }
    assert_bytes_refused(
        "a block of zeros",
        &[&bytes[..], &[0; 512]].concat(),
        ("package.trailing-data", None),
    );
}

#[test]
fn bytes_hidden_behind_a_disk_s_end_are_refused() {
    for name in [SYSTEM, STATE] {
        let archive = with_member(name, |bytes| bytes.extend([0; 512]));
        assert_refused("a longer disk", &archive, ("manifest.digest", Some(name)));
    }
}

#[test]
fn another_manifest_over_changed_disks_is_refused_by_the_signature() {
    let mut archive = with_member(STATE, |bytes| bytes[1000] ^= 1);
    let digest = sha256(&archive.member(STATE).bytes);
    let manifest = String::from_utf8(archive.member(MF).bytes.clone()).unwrap();
    let lines = manifest.lines().map(|line| match line.split_once('=') {
        Some((name, _)) if name.contains(STATE) => format!("{name}= {digest}\n"),
        _ => format!("{line}\n"),
    });
    let forged: String = lines.collect();
    assert_ne!(forged, manifest);
    archive.member(MF).replace(forged.into_bytes());
    assert_refused(
        "a forged manifest",
        &archive,
        ("certificate.signature", Some(CERT)),
    );
}

#[test]
fn a_signature_by_another_key_than_the_certificate_s_is_refused() {
    let other = keys();
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("manifest");
    std::fs::write(&manifest, &original().member(MF).bytes).unwrap();
    let mut sign = Command::new("openssl");
    sign.args(["dgst", "-sha256", "-hex", "-sign"])
        .arg(other.path().join("key.pem"))
        .arg(&manifest);
    let signature = artefacts::success(&mut sign);
    let hex = signature.trim().rsplit_once(' ').unwrap().1;
    let archive = with_member(CERT, |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let (first, rest) = text.split_once("-----BEGIN").unwrap();
        let (name, _) = first.split_once('=').unwrap();
        *bytes = format!("{name}= {hex}\n-----BEGIN{rest}").into_bytes();
    });
    assert_refused("another key", &archive, ("certificate.signature", Some(CERT)));
}

#[test]
fn a_package_signed_under_another_authority_is_refused() {
    let (other, folder) = (keys(), tempfile::tempdir().unwrap());
    let small = recipe::raw(folder.path(), &[7; 100_000], "");
    let package = folder.path().join("other.ova");
    let mut build = artefacts::ova();
    build.arg("build").arg(&small).arg("-o").arg(&package);
    build
        .arg("--sign")
        .arg(other.path().join("key.pem"))
        .arg("--cert")
        .arg(other.path().join("cert.pem"));
    artefacts::success(&mut build);
    assert_eq!(refusals(&package, &other.path().join("ca.pem")), []);
    let found = refusals(&package, &artefacts::key("ca.pem"));
    assert!(
        found
            .iter()
            .any(|refusal| refusal.code == "certificate.untrusted"),
        "{found:?}"
    );
}

#[test]
fn the_certificate_of_another_package_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let small = recipe::build_signed(&recipe::raw(folder.path(), &[7; 100_000], ""));
    let foreign = Archive::read(&small).member(".cert").bytes.clone();
    let archive = with_member(CERT, |bytes| *bytes = foreign);
    let found = verify(&archive.to_bytes());
    assert!(
        found
            .iter()
            .any(|refusal| refusal.member.as_deref() == Some(CERT)),
        "{found:?}"
    );
}

#[test]
fn an_unsigned_package_is_accepted_only_where_no_signature_is_required() {
    let folder = tempfile::tempdir().unwrap();
    let package = recipe::build(&recipe::raw(folder.path(), &[7; 100_000], ""));
    artefacts::success(artefacts::ova().arg("verify").arg(&package));
    let text = artefacts::exits(
        artefacts::ova()
            .arg("verify")
            .arg(&package)
            .arg("--require-signature"),
        1,
    );
    assert!(text.contains("certificate.missing"), "{text}");
}

#[test]
fn a_refused_package_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vcc-node.ova");
    with_member(SYSTEM, |bytes| bytes[5000] ^= 1).write(&path);
    let text = artefacts::exits(
        artefacts::ova()
            .arg("run")
            .arg(&path)
            .arg("--console")
            .arg(folder.path().join("c")),
        1,
    );
    assert!(
        text.contains("manifest.digest") && text.contains(SYSTEM),
        "{text}"
    );
    assert!(!folder.path().join("c").exists());
}

fn keys() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    artefacts::success(artefacts::ova().arg("keygen").arg(folder.path()));
    folder
}

fn sha256(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes");
    std::fs::write(&path, bytes).unwrap();
    artefacts::success(Command::new("sha256sum").arg(path))
        .split(' ')
        .next()
        .unwrap()
        .to_owned()
}
