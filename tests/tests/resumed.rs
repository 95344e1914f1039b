//! People go on with what broke off by curl and aria2, and what they had, or what they send, is another by then: nobody ends up with
//! bytes of two files and is told that all is well.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use e2e::clouds::Node;
use e2e::noise::noise;
use e2e::{artefacts, counterpart};
use serde_json::{Value, json};

/// curl's exit codes: a status of 400 or more, no answer in time, and a server that sends another part than it was asked for.
const REFUSED: i32 = 22;
const TOO_LATE: i32 = 28;
const NO_RANGE: i32 = 33;
const BYTES: usize = 6 << 20;

/// A node that nobody steers, and a place for files.
struct Shelf {
    node: Node,
    folder: tempfile::TempDir,
}

impl Shelf {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::alone(&folder.path().join("state"));
        Self { node, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Publishes a file as a version of the item `tool`, and tells where it can be had.
    fn offer(&self, version: &str, bytes: &[u8]) -> String {
        let path = self.file("tool.bin", bytes);
        let published = self.node.bring("tool", "file", version, &[&path]);
        assert_eq!(published["state"], "PUBLISHED", "{published}");
        let id = published["id"].as_str().unwrap();
        format!("/api/v1/versions/{id}/files/tool.bin")
    }

    /// A header field of the answer to HEAD.
    fn field(&self, path: &str, name: &str) -> String {
        let told = artefacts::success(self.node.curl(path).arg("--head"));
        let mut fields = told.lines().filter_map(|line| line.split_once(": "));
        let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.unwrap().1.trim().to_owned()
    }

    /// Bytes of a file that the node has.
    fn offset(&self, path: &str) -> usize {
        self.field(path, "upload-offset").parse().unwrap()
    }

    /// Goes on with a file that is here in part.
    fn goes_on(&self, path: &str, part: &Path, field: &str) -> Command {
        let mut curl = self.node.curl(path);
        curl.args(["--continue-at", "-", "--header", field, "--output"])
            .arg(part);
        curl
    }

    /// Sends a file until it breaks off, and tells how much of it the node has.
    fn send_a_part(&self, path: &str, file: &Path) -> usize {
        let mut curl = self.node.curl(path);
        curl.args(["--limit-rate", "1M", "--max-time", "2", "--upload-file"])
            .arg(file);
        artefacts::exits(&mut curl, TOO_LATE);
        let offset = self.offset(path);
        assert!(offset > 0 && offset < BYTES, "{offset}");
        offset
    }

    /// Sends a file from an offset on.
    fn send_from(&self, path: &str, file: &Path, offset: &str) -> Command {
        let mut curl = self.node.curl(path);
        curl.args(["--continue-at", offset, "--upload-file"]).arg(file);
        curl
    }
}

/// SHA-256 of a file, by openssl, in hexadecimal and as `Repr-Digest` has it.
fn digests(path: &Path) -> (String, String) {
    let by = |end: &str| {
        let script = format!("openssl dgst -sha256 -binary {path:?} | {end}");
        let told = artefacts::success(Command::new("bash").args(["-c", &script]));
        told.trim().to_owned()
    };
    (by("od -An -v -tx1 | tr -d ' \\n'"), by("base64 -w0"))
}

#[test]
fn a_download_that_goes_on_by_the_etag_of_what_was_begun_is_never_of_two_files() {
    let shelf = Shelf::new();
    let (former, current) = (noise(1, BYTES), noise(2, BYTES));
    let (was, is) = (shelf.offer("1.0", &former), shelf.offer("2.0", &current));
    let (part, tag) = (shelf.path("part.bin"), shelf.path("etag"));
    let mut curl = shelf.node.curl(&was);
    curl.args(["--limit-rate", "1M", "--max-time", "2", "--etag-save"])
        .arg(&tag);
    artefacts::exits(curl.arg("--output").arg(&part), TOO_LATE);
    let begun = std::fs::read(&part).unwrap();
    assert!(!begun.is_empty() && begun.len() < BYTES && former.starts_with(&begun));
    let tag = std::fs::read_to_string(tag).unwrap();
    let (if_range, if_match) = (
        format!("If-Range: {}", tag.trim()),
        format!("If-Match: {}", tag.trim()),
    );

    // Of another file nothing is added: all of it would come, or nothing.
    artefacts::exits(&mut shelf.goes_on(&is, &part, &if_range), NO_RANGE);
    artefacts::exits(&mut shelf.goes_on(&is, &part, &if_match), REFUSED);
    assert!(std::fs::read(&part).unwrap() == begun);
    let longer = shelf.file("longer.bin", &[&current[..], &[0]].concat());
    artefacts::exits(&mut shelf.goes_on(&is, &longer, "Accept: */*"), REFUSED);
    assert_eq!(longer.metadata().unwrap().len(), BYTES as u64 + 1);

    // Who asks for no such thing has both, and sees it by the digest that came along.
    let mixed = shelf.file("mixed.bin", &begun);
    artefacts::success(&mut shelf.goes_on(&is, &mixed, "Accept: */*"));
    let told = shelf.field(&is, "repr-digest");
    assert_ne!(format!("sha-256=:{}:", digests(&mixed).1), told);
    artefacts::success(&mut shelf.goes_on(&was, &part, &if_range));
    assert!(std::fs::read(&part).unwrap() == former);
    assert_eq!(
        format!("sha-256=:{}:", digests(&part).1),
        shelf.field(&was, "repr-digest")
    );
}

#[test]
fn a_part_that_was_damaged_here_is_found_out_and_comes_anew() {
    let shelf = Shelf::new();
    shelf
        .node
        .trust(&std::fs::read_to_string(artefacts::key("ca.pem")).unwrap());
    let package = artefacts::package();
    let published = shelf.node.bring("node", "package", "1.0", &[&package]);
    let (id, name) = (&published["id"], &published["files"][0]["name"]);
    let path = format!(
        "/api/v1/versions/{}/files/{}",
        id.as_str().unwrap(),
        name.as_str().unwrap()
    );
    let original = std::fs::read(&package).unwrap();
    let mut damaged = original[..original.len() / 2].to_vec();
    damaged[original.len() / 3] ^= 1;
    let verify = |path: &Path| {
        let mut verify = artefacts::ova();
        verify.arg("verify").arg(path).arg("--trust");
        verify.arg(artefacts::key("ca.pem"));
        verify
    };

    let taken = shelf.file("taken.ova", &damaged);
    let tag = format!("If-Range: {}", shelf.field(&path, "etag"));
    artefacts::success(&mut shelf.goes_on(&path, &taken, &tag));
    let refused = artefacts::exits(&mut verify(&taken), 1);
    assert!(refused.contains("digest"), "{refused}");
    artefacts::success(shelf.node.curl(&path).arg("--output").arg(&taken));
    artefacts::success(&mut verify(&taken));

    if counterpart::find("aria2c").is_none() {
        return;
    }
    shelf.file("parts.ova", &damaged);
    let aria2 = || {
        let mut aria2 = counterpart::find("aria2c").unwrap();
        let certificate = shelf.node.state.join("identity/cert.pem");
        aria2
            .args(["--quiet", "--no-conf", "--continue", "--check-integrity"])
            .args([
                "--split=4",
                "--max-connection-per-server=4",
                "--min-split-size=1M",
            ])
            .arg(format!("--ca-certificate={}", certificate.display()))
            .arg(format!(
                "--header=Authorization: Bearer {}",
                shelf.node.connector.token
            ))
            .arg(format!("--checksum=sha-256={}", digests(&package).0))
            .arg(format!("--dir={}", shelf.folder.path().display()))
            .arg("--out=parts.ova")
            .arg(format!("{}{path}", shelf.node.connector.origin()));
        aria2
    };
    // Its exit code for a file with another digest.
    artefacts::exits(&mut aria2(), 32);
    artefacts::success(&mut aria2());
    assert!(std::fs::read(shelf.path("parts.ova")).unwrap() == original);
}

#[test]
fn an_upload_whose_source_changes_between_two_parts_is_refused_and_begins_anew() {
    let shelf = Shelf::new();
    let (before, after) = (
        noise(1, BYTES),
        [&noise(1, BYTES)[..BYTES / 2], &noise(2, BYTES)[BYTES / 2..]].concat(),
    );
    let source = shelf.file("tool.bin", &before);
    let announced = json!([{ "name": "tool.bin", "bytes": BYTES, "digest": digests(&source).0 }]);
    let version = shelf.node.announce("tool", "file", "1.0", &announced);
    let path = format!("{version}/files/tool.bin");

    // One that grew is another, and what came of the former one stays.
    let offset = shelf.send_a_part(&path, &source);
    shelf.file("tool.bin", &[&before[..], &[0]].concat());
    artefacts::exits(&mut shelf.send_from(&path, &source, &offset.to_string()), REFUSED);
    assert_eq!(shelf.offset(&path), offset);

    shelf.file("tool.bin", &after);
    artefacts::exits(&mut shelf.send_from(&path, &source, &offset.to_string()), REFUSED);
    assert_eq!(shelf.offset(&path), 0, "nothing of it is gone on with");

    // Of an upload curl doesn't find out how much is there, and says that it begins at 0: what came stays for who knows better.
    shelf.file("tool.bin", &before);
    let offset = shelf.send_a_part(&path, &source);
    artefacts::exits(&mut shelf.send_from(&path, &source, "-"), REFUSED);
    assert_eq!(shelf.offset(&path), offset);
    artefacts::success(&mut shelf.send_from(&path, &source, &offset.to_string()));
    let published = shelf.node.judged(&version);
    assert_eq!(published["state"], "PUBLISHED", "{published}");
    let taken = shelf.path("taken.bin");
    artefacts::success(shelf.node.curl(&path).arg("--output").arg(&taken));
    assert!(std::fs::read(taken).unwrap() == before);
}

#[test]
fn a_package_that_changes_between_two_parts_and_was_announced_without_a_digest_is_rejected() {
    let shelf = Shelf::new();
    shelf
        .node
        .trust(&std::fs::read_to_string(artefacts::key("ca.pem")).unwrap());
    let mut bytes = std::fs::read(artefacts::package()).unwrap();
    let source = shelf.file("node.ova", &bytes);
    let announced = json!([{ "name": "node.ova", "bytes": bytes.len() }]);
    let version = shelf.node.announce("node", "package", "1.0", &announced);
    let path = format!("{version}/files/node.ova");
    let offset = shelf.send_a_part(&path, &source);
    let middle = offset + (bytes.len() - offset) / 2;
    bytes[middle] ^= 1;
    shelf.file("node.ova", &bytes);
    artefacts::success(&mut shelf.send_from(&path, &source, &offset.to_string()));
    let rejected = shelf.node.judged(&version);
    assert_eq!(rejected["state"], "REJECTED", "{rejected}");
    let checks = rejected["verdict"]["checks"].as_array().unwrap();
    let failed = |check: &&Value| check["outcome"] == "failed";
    let code = checks.iter().find(failed).unwrap()["code"].as_str().unwrap();
    assert!(code.contains("digest"), "{code}");
}
