//! Packages that openssl signed, judged by `ova verify`: each fault under its own code, whatever way it was told.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::archive::Archive;
use e2e::authority::{AUTHORITY, Authority, PUBLISHER};
use e2e::verdict::{codes, verdict};
use e2e::{artefacts, recipe};
use tempfile::TempDir;

/// A folder with a small unsigned package in it.
fn package() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let package = recipe::build(&recipe::raw(folder.path(), &[7; 100_000], ""));
    (folder, package)
}

/// Writes an archive beside the package it was made from.
fn beside(package: &Path, archive: &Archive) -> PathBuf {
    let path = package.with_file_name("signed.ova");
    archive.write(&path);
    path
}

fn trusting(authority: &Authority, more: &[&str]) -> Vec<OsString> {
    let mut arguments = vec![OsString::from("--trust"), authority.path("root.pem").into()];
    arguments.extend(more.iter().map(OsString::from));
    arguments
}

/// The manifest's lines anew, by the digest command of coreutils.
fn with_digest(archive: &mut Archive, name: &str) {
    let lines = archive
        .members
        .iter()
        .filter(|member| !member.name().ends_with(".mf"));
    let lines: Vec<_> = lines
        .map(|member| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("bytes");
            std::fs::write(&path, &member.bytes).unwrap();
            let text = artefacts::success(Command::new(format!("{name}sum")).arg(path));
            let hex = text.split(' ').next().unwrap().to_owned();
            format!("{}({})= {hex}\n", name.to_uppercase(), member.name())
        })
        .collect();
    archive.member(".mf").replace(lines.concat().into_bytes());
}

#[test]
fn what_openssl_signed_is_accepted_for_each_digest_and_key_size() {
    let (_folder, package) = package();
    for (bits, digests) in [
        (2048, &["sha256", "sha384", "sha512"][..]),
        (3072, &["sha256"]),
        (4096, &["sha512"]),
    ] {
        let Some(authority) = Authority::new(bits) else {
            return;
        };
        for digest in digests {
            let mut archive = Archive::read(&package);
            with_digest(&mut archive, digest);
            let path = beside(&package, &archive);
            let path = beside(&package, &authority.signed(&path, digest, "leaf", "chain.pem"));
            let found = codes(&path, &trusting(&authority, &["--strict"]));
            assert!(found.is_empty(), "{bits} {digest}: {found:?}");
        }
    }
}

#[test]
fn sha1_is_read_where_it_is_tolerated_and_refused_elsewhere() {
    let (_folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let mut archive = Archive::read(&package);
    with_digest(&mut archive, "sha1");
    let path = beside(&package, &archive);
    let path = beside(&package, &authority.signed(&path, "sha1", "leaf", "chain.pem"));
    assert_eq!(
        codes(&path, &trusting(&authority, &[])),
        ["certificate.weak-digest", "manifest.weak-digest"]
    );
    let verdict = verdict(&path, &trusting(&authority, &["--tolerate", "sha1"]));
    assert_eq!(verdict["accepted"], true, "{verdict}");
    assert_eq!(verdict["tolerated"], serde_json::json!(["sha1"]));
}

#[test]
fn each_fault_of_a_certificate_has_its_own_code() {
    let (_folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let rows = [
        (
            PUBLISHER.replace("codeSigning", "serverAuth"),
            "certificate.extended-key-usage",
        ),
        (
            PUBLISHER.replace("digitalSignature", "keyEncipherment"),
            "certificate.key-usage",
        ),
        (PUBLISHER.replace("CA:FALSE", "CA:TRUE"), "certificate.authority"),
    ];
    for (extensions, code) in rows {
        authority.certify("leaf", Some("middle"), &extensions);
        authority.chain("chain.pem", &["leaf", "middle"]);
        let path = beside(
            &package,
            &authority.signed(&package, "sha256", "leaf", "chain.pem"),
        );
        assert_eq!(codes(&path, &trusting(&authority, &[])), [code]);
    }
    authority.issue("leaf", Some("middle"), PUBLISHER, 1024);
    authority.chain("chain.pem", &["leaf", "middle"]);
    let path = beside(
        &package,
        &authority.signed(&package, "sha256", "leaf", "chain.pem"),
    );
    assert_eq!(codes(&path, &trusting(&authority, &[])), ["certificate.key-size"]);
}

#[test]
fn time_key_and_root_are_each_told_by_their_own_code() {
    let (_folder, package) = package();
    let (Some(authority), Some(other)) = (Authority::new(2048), Authority::new(2048)) else {
        return;
    };
    let path = beside(
        &package,
        &authority.signed(&package, "sha256", "leaf", "chain.pem"),
    );
    let at = |time: &str| codes(&path, &trusting(&authority, &["--at", time]));
    assert_eq!(at("2001-01-01T00:00:00Z"), ["certificate.not-yet-valid"]);
    assert_eq!(at("2099-01-01T00:00:00Z"), ["certificate.expired"]);
    assert_eq!(codes(&path, &trusting(&other, &[])), ["certificate.untrusted"]);
    let bits = codes(&path, &trusting(&authority, &["--min-key-bits", "3072"]));
    assert_eq!(bits, ["certificate.key-size"]);
    // The certificate of one key, the signature of another.
    let forged = authority.signed(&package, "sha256", "middle", "chain.pem");
    let path = beside(&package, &forged);
    assert_eq!(
        codes(&path, &trusting(&authority, &[])),
        ["certificate.signature"]
    );
}

#[test]
fn a_stripped_signature_and_an_uncovered_descriptor_are_told() {
    let (_folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    assert_eq!(
        codes(&package, &trusting(&authority, &[])),
        ["certificate.missing"]
    );
    assert_eq!(codes(&package, &["--require-signature"]), ["certificate.missing"]);
    let mut archive = Archive::read(&package);
    let manifest = String::from_utf8(archive.member(".mf").bytes.clone()).unwrap();
    let rest = manifest.split_once('\n').unwrap().1.to_owned();
    archive.member(".mf").replace(rest.into_bytes());
    let path = beside(&package, &archive);
    let path = beside(&package, &authority.signed(&path, "sha256", "leaf", "chain.pem"));
    assert_eq!(
        codes(&path, &trusting(&authority, &[])),
        ["manifest.descriptor-uncovered"]
    );
}

#[test]
fn revocation_lists_are_believed_fresh_and_asked_for_by_name() {
    let (_folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let path = beside(
        &package,
        &authority.signed(&package, "sha256", "leaf", "chain.pem"),
    );
    let root = authority.revocation_list("root", &[]);
    let middle = authority.revocation_list("middle", &[]);
    let under = |lists: &[&PathBuf], more: &[&str]| {
        let mut arguments = trusting(&authority, more);
        for list in lists {
            arguments.extend([OsString::from("--crl"), (*list).into()]);
        }
        codes(&path, &arguments)
    };
    assert!(under(&[&root, &middle], &["--require-crl", "--crl-max-age", "1d"]).is_empty());
    assert_eq!(under(&[&middle], &["--require-crl"]), ["crl.missing"]);
    assert_eq!(under(&[], &["--require-crl"]), ["crl.missing"]);
    let later = |days: u64| {
        let date = format!("@{}", unix_now() + days * 86_400);
        let text = Command::new("date")
            .args(["-u", "-d", &date, "+%FT%TZ"])
            .output()
            .unwrap();
        String::from_utf8(text.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(under(&[&middle], &["--at", &later(20)]), ["crl.stale"]);
    assert_eq!(
        under(&[&middle], &["--at", &later(5), "--crl-max-age", "3d"]),
        ["crl.stale"]
    );
    assert!(under(&[&middle], &["--at", &later(5), "--crl-max-age", "7d"]).is_empty());
    let revoked = authority.revocation_list("middle", &["leaf"]);
    assert_eq!(under(&[&root, &revoked], &[]), ["certificate.revoked"]);
    let revoked = authority.revocation_list("root", &["middle"]);
    assert_eq!(under(&[&revoked], &[]), ["certificate.revoked"]);
    // A list in DER, and one by another key under the authority's name.
    authority.openssl("crl -in root.crl -outform DER -out root.der");
    assert_eq!(
        under(&[&authority.path("root.der")], &[]),
        ["certificate.revoked"]
    );
    authority.issue("forger", None, AUTHORITY, 2048);
    std::fs::copy(authority.path("forger.key"), authority.path("middle.key")).unwrap();
    authority.certify("middle", None, AUTHORITY);
    let forged = authority.revocation_list("middle", &[]);
    assert_eq!(under(&[&forged], &[]), ["crl.untrusted"]);
}

fn unix_now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.unwrap().as_secs()
}

#[test]
fn a_self_signed_publisher_is_trusted_by_certificate_or_by_the_digest_of_the_key() {
    let (_folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    // What openssl makes by default: an authority.
    authority.openssl("req -x509 -newkey rsa:2048 -nodes -subj /CN=own -keyout own.key -out own.pem");
    let path = beside(&package, &authority.signed(&package, "sha256", "own", "own.pem"));
    let own = authority.path("own.pem");
    assert!(codes(&path, &["--trust".as_ref(), own.as_os_str()]).is_empty());
    assert_eq!(
        codes(&path, &trusting(&authority, &[])),
        ["certificate.untrusted"]
    );
    authority.openssl("x509 -in own.pem -pubkey -noout -out own.pub");
    authority.openssl("pkey -pubin -in own.pub -outform DER -out own.spki");
    let text = artefacts::success(Command::new("sha256sum").arg(authority.path("own.spki")));
    let pin = text.split(' ').next().unwrap();
    assert!(codes(&path, &["--pin", pin]).is_empty());
    assert_eq!(codes(&path, &["--pin", &"0".repeat(64)]), ["certificate.pin"]);
}

#[test]
fn a_chain_in_pkcs7_is_let_pass_by_its_name() {
    let (_folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    authority.openssl("crl2pkcs7 -nocrl -certfile middle.pem -certfile leaf.pem -out chain.p7");
    let path = beside(
        &package,
        &authority.signed(&package, "sha256", "leaf", "chain.p7"),
    );
    let verdict = verdict(&path, &trusting(&authority, &[]));
    assert_eq!(verdict["accepted"], true, "{verdict}");
    assert_eq!(verdict["tolerated"], serde_json::json!(["pkcs7-chain"]));
    assert_eq!(
        codes(&path, &trusting(&authority, &["--strict"])),
        ["certificate.spelling"]
    );
}

#[test]
fn a_policy_file_does_what_the_flags_do() {
    let (folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let path = beside(
        &package,
        &authority.signed(&package, "sha256", "leaf", "chain.pem"),
    );
    authority.revocation_list("middle", &["leaf"]);
    let policy = authority.path("policy.toml");
    let under = |text: &str| {
        std::fs::write(&policy, text).unwrap();
        codes(&path, &["--policy".as_ref(), policy.as_os_str()])
    };
    assert!(under("roots = ['root.pem']\ntolerate = []\n").is_empty());
    assert_eq!(
        under("roots = ['root.pem']\n[revocation]\nlists = ['middle.crl']\n"),
        ["certificate.revoked"]
    );
    assert_eq!(
        under("roots = ['root.pem']\nat = '2099-01-01T00:00:00Z'\nmin-key-bits = 4096\n"),
        ["certificate.key-size", "certificate.expired"]
    );
    std::fs::write(&policy, "require-signature = true\nroot = ['root.pem']\n").unwrap();
    let text = artefacts::exits(
        artefacts::ova()
            .arg("verify")
            .arg(&path)
            .arg("--policy")
            .arg(&policy)
            .current_dir(folder.path()),
        2,
    );
    assert!(
        text.contains("policy.toml:2:1") && text.contains("root"),
        "{text}"
    );
}

/// Verifies an archive that comes through a pipe, in a folder where nothing may appear.
fn piped(bytes: impl FnOnce(&mut dyn std::io::Write) + Send + 'static) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    // The ceiling on address space is far below what goes through.
    let ova = artefacts::ova().get_program().to_owned();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -v 250000; exec \"$0\" verify - --json"])
        .arg(ova)
        .current_dir(folder.path())
        .env("TMPDIR", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || bytes(&mut stdin));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

#[test]
fn a_package_from_a_pipe_is_judged_wherever_its_manifest_stands() {
    let (_folder, package) = package();
    let mut archive = Archive::read(&package);
    let first = archive.to_bytes();
    let manifest = archive.members.remove(archive.position(".mf"));
    archive.members.push(manifest);
    let last = archive.to_bytes();
    archive.member(".vmdk").bytes[5000] ^= 1;
    let changed = archive.to_bytes();
    for (bytes, code) in [(first, 0), (last, 0), (changed, 1)] {
        let (found, text) = piped(move |pipe| pipe.write_all(&bytes).unwrap());
        assert_eq!(found, Some(code), "{text}");
    }
}

#[test]
fn a_package_under_the_name_of_a_pipe_is_read_once() {
    let (folder, package) = package();
    let fifo = folder.path().join("fifo.ova");
    artefacts::success(Command::new("mkfifo").arg(&fifo));
    let bytes = std::fs::read(&package).unwrap();
    let to = fifo.clone();
    let feeder = std::thread::spawn(move || std::fs::write(to, bytes));
    assert!(codes::<&str>(&fifo, &[]).is_empty());
    feeder.join().unwrap().unwrap();
}

#[test]
fn a_package_larger_than_the_memory_goes_through_a_pipe() {
    const SIZE: usize = 300 << 20;
    let (_folder, package) = package();
    let mut archive = Archive::read(&package);
    let old = archive.member(".vmdk").bytes.len();
    let descriptor = archive.member(".ovf");
    let text = String::from_utf8(std::mem::take(&mut descriptor.bytes)).unwrap();
    let grown = text.replace(&format!("size=\"{old}\""), &format!("size=\"{SIZE}\""));
    assert_ne!(grown, text);
    descriptor.replace(grown.into_bytes());
    let disk_digest = {
        let mut zeros = Command::new("sh");
        zeros.args(["-c", &format!("head -c {SIZE} /dev/zero | sha256sum")]);
        artefacts::success(&mut zeros)
    };
    with_digest(&mut archive, "sha256");
    let text = String::from_utf8(archive.member(".mf").bytes.clone()).unwrap();
    let lines = text.lines().map(|line| match line.split_once("= ") {
        Some((name, _)) if name.contains(".vmdk") => format!("{name}= {}\n", &disk_digest[..64]),
        _ => format!("{line}\n"),
    });
    let manifest: String = lines.collect();
    archive.member(".mf").replace(manifest.into_bytes());
    let mut header = archive.member(".vmdk").header.clone();
    header.set_size(SIZE as u64);
    header.set_cksum();
    let (code, text) = piped(move |pipe| {
        pipe.write_all(&archive.member(".ovf").to_blocks()).unwrap();
        pipe.write_all(header.as_bytes()).unwrap();
        let piece = vec![0; 1 << 20];
        for _ in 0..SIZE >> 20 {
            pipe.write_all(&piece).unwrap();
        }
        pipe.write_all(&archive.member(".mf").to_blocks()).unwrap();
        pipe.write_all(&[0; 1024]).unwrap();
    });
    assert_eq!(code, Some(0), "{text}");
}
