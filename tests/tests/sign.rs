//! `ova sign`: what it signs openssl verifies, what it writes is whole, and what it may not sign it leaves alone.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::archive::{Archive, Member};
use e2e::authority::Authority;
use e2e::verdict::codes;
use e2e::{artefacts, recipe};
use tempfile::TempDir;

/// A folder with a small unsigned package in it.
fn package() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let package = recipe::build(&recipe::raw(folder.path(), &[7; 100_000], ""));
    (folder, package)
}

/// `ova sign PACKAGE --cert CHAIN`, with nobody at the terminal.
fn sign(package: &Path, authority: &Authority) -> Command {
    let mut command = artefacts::ova();
    command.arg("sign").arg(package);
    command.arg("--cert").arg(authority.path("chain.pem"));
    command.stdin(Stdio::null());
    command
}

fn sign_by_key(package: &Path, authority: &Authority) -> Command {
    let mut command = sign(package, authority);
    command.arg("--key").arg(authority.path("leaf.key"));
    command
}

fn trusting(authority: &Authority) -> [OsString; 3] {
    let strict = OsString::from("--strict");
    ["--trust".into(), authority.path("root.pem").into(), strict]
}

fn accepted(package: &Path, authority: &Authority) {
    let found = codes(package, &trusting(authority));
    assert!(found.is_empty(), "{found:?}");
}

/// Whether openssl takes the package's signature for one of the leaf's key over the manifest.
fn openssl_verifies(archive: &mut Archive, authority: &Authority, digest: &str) {
    let text = String::from_utf8(archive.member(".cert").bytes.clone()).unwrap();
    let first = text.lines().next().unwrap();
    let (head, hex) = first.split_once(")= ").unwrap();
    assert!(head.starts_with(&format!("{}(", digest.to_uppercase())), "{head}");
    let bytes = (0..hex.len()).step_by(2);
    let bytes: Vec<u8> = bytes
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    std::fs::write(authority.path("signature"), bytes).unwrap();
    std::fs::write(authority.path("manifest"), &archive.member(".mf").bytes).unwrap();
    authority.openssl("x509 -in leaf.pem -noout -pubkey -out leaf.pub");
    let told = authority.openssl(&format!(
        "dgst -{digest} -verify leaf.pub -signature signature manifest"
    ));
    assert_eq!(told.trim(), "Verified OK");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn openssl_verifies_what_is_signed_with_each_digest_and_key_size() {
    let (_folder, package) = package();
    let before = Archive::read(&package).member(".vmdk").bytes.clone();
    for (bits, digests) in [
        (2048, &["sha256", "sha384", "sha512"][..]),
        (3072, &["sha256"]),
        (4096, &["sha512"]),
    ] {
        let Some(authority) = Authority::new(bits) else {
            return;
        };
        for digest in digests {
            let signed = package.with_file_name("signed.ova");
            let mut command = sign_by_key(&package, &authority);
            artefacts::success(command.arg("-o").arg(&signed).args(["--digest", digest]));
            let mut archive = Archive::read(&signed);
            assert_eq!(
                archive.names(),
                ["test.ovf", "test.mf", "test.cert", "test-data.vmdk"]
            );
            assert!(archive.member(".vmdk").bytes == before, "the disk has changed");
            openssl_verifies(&mut archive, &authority, digest);
            accepted(&signed, &authority);
        }
    }
}

#[test]
fn a_package_is_signed_in_place_once_and_again_only_when_told() {
    let (folder, package) = package();
    let (Some(authority), Some(other)) = (Authority::new(2048), Authority::new(2048)) else {
        return;
    };
    let before = names(folder.path());
    std::fs::set_permissions(&package, Permissions::from_mode(0o600)).unwrap();
    artefacts::success(&mut sign_by_key(&package, &authority));
    assert_eq!(names(folder.path()), before);
    let mode = package.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it has become readable to others");
    accepted(&package, &authority);
    let bytes = std::fs::read(&package).unwrap();
    let text = artefacts::exits(&mut sign_by_key(&package, &other), 1);
    assert!(text.contains("--replace"), "{text}");
    assert!(std::fs::read(&package).unwrap() == bytes);
    artefacts::success(sign_by_key(&package, &other).arg("--replace"));
    accepted(&package, &other);
    // The same key over the same bytes gives the same package.
    artefacts::success(sign_by_key(&package, &authority).arg("--replace"));
    assert!(std::fs::read(&package).unwrap() == bytes);
}

#[test]
fn members_in_any_order_come_out_in_the_standard_s() {
    let (_folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let mut archive = Archive::read(&package);
    let manifest = archive.members.remove(1);
    archive.members.push(manifest);
    archive.write(&package);
    artefacts::success(&mut sign_by_key(&package, &authority));
    assert_eq!(
        Archive::read(&package).names(),
        ["test.ovf", "test.mf", "test.cert", "test-data.vmdk"]
    );
    accepted(&package, &authority);
}

#[test]
fn what_nobody_would_accept_is_not_signed() {
    let (_folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let good = Archive::read(&package);
    let mut added = good.clone();
    added
        .members
        .push(Member::like(&good.members[0], "extra.bin", b"more"));
    let mut missing = good.clone();
    missing.members.retain(|member| !member.name().ends_with(".vmdk"));
    let mut longer = good.clone();
    let disk = [longer.member(".vmdk").bytes.clone(), vec![0; 512]].concat();
    longer.member(".vmdk").replace(disk);
    for (archive, code) in [
        (added, "package.unlisted"),
        (missing, "package.missing"),
        (longer, "package.size"),
    ] {
        archive.write(&package);
        let bytes = std::fs::read(&package).unwrap();
        let text = artefacts::exits(&mut sign_by_key(&package, &authority), 1);
        assert!(text.contains(code), "{text}");
        assert!(std::fs::read(&package).unwrap() == bytes);
    }
}

#[test]
fn a_folder_is_signed_in_place_copied_or_packed() {
    let (folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let loose = folder.path().join("loose");
    std::fs::create_dir(&loose).unwrap();
    for member in Archive::read(&package).members {
        if !member.name().ends_with(".mf") {
            std::fs::write(loose.join(member.name()), member.bytes).unwrap();
        }
    }
    let descriptor = loose.join("test.ovf");
    let copy = folder.path().join("copy");
    artefacts::success(sign_by_key(&descriptor, &authority).arg("-o").arg(&copy));
    assert_eq!(names(&loose), ["test-data.vmdk", "test.ovf"]);
    let whole = ["test-data.vmdk", "test.cert", "test.mf", "test.ovf"];
    assert_eq!(names(&copy), whole);
    accepted(&copy.join("test.ovf"), &authority);
    artefacts::exits(sign_by_key(&descriptor, &authority).arg("-o").arg(&copy), 2);
    artefacts::success(&mut sign_by_key(&descriptor, &authority));
    assert_eq!(names(&loose), whole);
    accepted(&descriptor, &authority);
    let packed = folder.path().join("packed.ova");
    let mut pack = sign_by_key(&descriptor, &authority);
    artefacts::success(pack.arg("--replace").arg("-o").arg(&packed));
    accepted(&packed, &authority);
    // In a folder too, a signer that fails leaves what there was.
    let before = std::fs::read(loose.join("test.cert")).unwrap();
    let mut failing = sign(&descriptor, &authority);
    artefacts::exits(failing.args(["--replace", "--sign-command", "false"]), 2);
    assert!(std::fs::read(loose.join("test.cert")).unwrap() == before);
    assert_eq!(names(&loose), whole);
}

/// Before it catches the signal a process just ends by it.
fn wait_until_interrupts_are_caught(pid: u32) {
    const SIGINT_BIT: u64 = 1 << 1;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        if u64::from_str_radix(mask.unwrap().trim(), 16).unwrap() & SIGINT_BIT != 0 {
            return std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_interrupted_signature_leaves_nothing_behind() {
    const SIZE: u64 = 4 << 30;
    let (folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let mut archive = Archive::read(&package);
    let old = archive.member(".vmdk").bytes.len();
    let text = String::from_utf8(archive.member(".ovf").bytes.clone()).unwrap();
    let loose = folder.path().join("loose");
    std::fs::create_dir(&loose).unwrap();
    let grown = text.replace(&format!("size=\"{old}\""), &format!("size=\"{SIZE}\""));
    std::fs::write(loose.join("test.ovf"), grown).unwrap();
    let disk = std::fs::File::create(loose.join("test-data.vmdk")).unwrap();
    disk.set_len(SIZE).unwrap();
    let before = names(folder.path());
    for output in ["copy", "copy.ova"] {
        let mut command = sign_by_key(&loose.join("test.ovf"), &authority);
        let mut child = command
            .arg("-o")
            .arg(folder.path().join(output))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until_interrupts_are_caught(child.id());
        artefacts::success(Command::new("kill").arg("-INT").arg(child.id().to_string()));
        assert_eq!(child.wait().unwrap().code(), Some(2), "{output}");
        assert_eq!(names(folder.path()), before, "{output}");
    }
}

#[test]
fn an_encrypted_key_opens_by_file_or_environment_and_not_without() {
    let (folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    authority.openssl("pkcs8 -topk8 -in leaf.key -passout pass:sesame -out locked.key");
    authority.openssl("rsa -in leaf.key -traditional -out old.key");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "sesame\n").unwrap();
    let out = folder.path().join("signed.ova");
    let with = |key: &str| {
        let mut command = sign(&package, &authority);
        command.arg("--key").arg(authority.path(key)).arg("-o").arg(&out);
        command.env("KEY_PASSPHRASE", "sesame").env("WRONG", "open");
        command
    };
    for arguments in [
        vec!["--passphrase-file".as_ref(), secret.as_os_str()],
        vec!["--passphrase-env".as_ref(), "KEY_PASSPHRASE".as_ref()],
    ] {
        artefacts::success(with("locked.key").args(arguments));
        accepted(&out, &authority);
        std::fs::remove_file(&out).unwrap();
    }
    artefacts::success(&mut with("old.key"));
    std::fs::remove_file(&out).unwrap();
    for arguments in [
        &["--passphrase-env", "WRONG"][..],
        &["--passphrase-env", "UNSET"],
        &[],
    ] {
        let text = artefacts::exits(with("locked.key").args(arguments), 2);
        assert!(!text.contains("sesame") && !out.exists(), "{text}");
    }
    let help = artefacts::success(artefacts::ova().args(["sign", "--help"]));
    assert!(!help.contains("--passphrase "), "{help}");
}

#[test]
fn key_certificate_and_chain_must_belong_together() {
    let (folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let bytes = std::fs::read(&package).unwrap();
    let refused = |key: &str, chain: &[&str]| {
        authority.chain("other.pem", chain);
        let mut command = artefacts::ova();
        command.arg("sign").arg(&package).stdin(Stdio::null());
        command.arg("--key").arg(authority.path(key));
        command.arg("--cert").arg(authority.path("other.pem"));
        artefacts::exits(&mut command, 2)
    };
    assert!(refused("root.key", &["leaf", "middle"]).contains("not the one"));
    assert!(refused("leaf.key", &["middle", "leaf"]).contains("authority"));
    assert!(refused("leaf.key", &["leaf", "root"]).contains("followed by"));
    assert!(refused("middle.key", &["middle", "root"]).contains("authority"));
    assert!(std::fs::read(&package).unwrap() == bytes);
    assert_eq!(names(folder.path()).len(), 4, "{:?}", names(folder.path()));
}

#[test]
fn a_command_signs_manifest_or_digest_and_answers_raw_or_in_text() {
    let (_folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let key = authority.path("leaf.key").display().to_string();
    let commands = [
        format!("openssl dgst -$OVA_SIGN_ALGORITHM -sign {key}"),
        format!("openssl dgst -sha256 -sign {key} | base64"),
        format!("openssl dgst -sha256 -sign {key} | od -An -v -tx1"),
        format!(
            "printf %s $OVA_SIGN_DIGEST | tr a-f A-F | basenc -d --base16 | \
             openssl pkeyutl -sign -inkey {key} -pkeyopt digest:sha256"
        ),
    ];
    for command in commands {
        let out = package.with_file_name("signed.ova");
        let mut run = sign(&package, &authority);
        artefacts::success(run.arg("-o").arg(&out).args(["--sign-command", &command]));
        openssl_verifies(&mut Archive::read(&out), &authority, "sha256");
        accepted(&out, &authority);
    }
}

#[test]
fn a_command_that_fails_hangs_or_has_another_key_leaves_nothing_behind() {
    let (folder, package) = package();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let before = names(folder.path());
    let bytes = std::fs::read(&package).unwrap();
    let refused = |command: &str| {
        let mut run = sign(&package, &authority);
        run.args(["--sign-timeout", "1", "--sign-command", command]);
        let text = artefacts::exits(&mut run, 2);
        assert_eq!(names(folder.path()), before);
        assert!(std::fs::read(&package).unwrap() == bytes);
        text
    };
    let text = refused("echo 'token is locked' >&2; exit 42");
    assert!(text.contains("42") && text.contains("token is locked"), "{text}");
    let start = Instant::now();
    assert!(refused("sleep 60").contains("1 second"));
    assert!(start.elapsed() < Duration::from_secs(20));
    let other = authority.path("root.key").display().to_string();
    let text = refused(&format!("openssl dgst -sha256 -sign {other}"));
    assert!(text.contains("not the one of the certificate"), "{text}");
    assert!(refused("true").contains("no signature"));
}

#[test]
fn a_build_signs_by_command_too() {
    let folder = tempfile::tempdir().unwrap();
    let Some(authority) = Authority::new(2048) else {
        return;
    };
    let recipe = recipe::raw(folder.path(), &[7; 100_000], "");
    let out = folder.path().join("built.ova");
    let key = authority.path("leaf.key").display().to_string();
    let build = |command: &str| {
        let mut build = artefacts::ova();
        build.arg("build").arg(&recipe).arg("-o").arg(&out);
        build.arg("--cert").arg(authority.path("chain.pem"));
        build.args(["--sign-command", command]);
        build
    };
    artefacts::exits(&mut build("false"), 2);
    assert!(!out.exists());
    artefacts::success(&mut build(&format!("openssl dgst -sha256 -sign {key}")));
    accepted(&out, &authority);
}
