//! A node keeps the signed appliance: curl brings it, aria2 and curl take it, and what was tampered with nobody gets.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::clouds::Node;
use e2e::{artefacts, counterpart};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);

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

    /// Brings files as a version of the item `node`, and gives what became of it.
    fn bring(&self, version: &str, files: &[&Path]) -> Value {
        self.node.bring("node", "package", version, files)
    }

    fn believe(&self) {
        let certificate = std::fs::read_to_string(artefacts::key("ca.pem")).unwrap();
        self.node.trust(&certificate);
    }
}

/// The checks that refused a version.
fn failures(version: &Value) -> Vec<&Value> {
    let checks = version["verdict"]["checks"].as_array().unwrap();
    checks
        .iter()
        .filter(|check| check["outcome"] == "failed")
        .collect()
}

#[test]
fn the_signed_appliance_is_published_once_its_publisher_is_believed_and_every_client_gets_it_whole() {
    let shelf = Shelf::new();
    let package = artefacts::package();
    let stranger = shelf.bring("1.0", &[&package]);
    assert_eq!(stranger["state"], "REJECTED", "{stranger}");
    assert_eq!(failures(&stranger)[0]["code"], "trust.nobody");

    shelf.believe();
    let published = shelf.bring("1.0", &[&package]);
    assert_eq!(published["state"], "PUBLISHED", "{published}");
    assert!(
        published["verdict"]["signer"]["subject"].is_string(),
        "{published}"
    );
    let name = published["files"][0]["name"].as_str().unwrap();
    let path = format!(
        "/api/v1/versions/{}/files/{name}",
        published["id"].as_str().unwrap()
    );

    let original = std::fs::read(&package).unwrap();
    let taken = shelf.folder.path().join("taken.ova");
    std::fs::write(&taken, &original[..original.len() / 3]).unwrap();
    artefacts::success(shelf.node.curl(&path).args(["-C", "-", "-o"]).arg(&taken));
    assert!(std::fs::read(&taken).unwrap() == original);
    let mut verify = artefacts::ova();
    artefacts::success(
        verify
            .arg("verify")
            .arg(&taken)
            .arg("--trust")
            .arg(artefacts::key("ca.pem")),
    );

    let Some(mut aria2) = counterpart::find("aria2c") else {
        return;
    };
    aria2
        .args([
            "--quiet",
            "--no-conf",
            "--split=4",
            "--max-connection-per-server=4",
            "--min-split-size=1M",
        ])
        .arg(format!(
            "--ca-certificate={}",
            shelf.folder.path().join("state/identity/cert.pem").display()
        ))
        .arg(format!(
            "--header=Authorization: Bearer {}",
            shelf.node.connector.token
        ))
        .arg(format!("--dir={}", shelf.folder.path().display()))
        .arg("--out=four.ova")
        .arg(format!("{}{path}", shelf.node.connector.origin()));
    artefacts::success(&mut aria2);
    assert!(std::fs::read(shelf.folder.path().join("four.ova")).unwrap() == original);
}

#[test]
fn what_was_tampered_with_is_refused_with_the_file_and_the_rule_and_its_bytes_are_gone() {
    let shelf = Shelf::new();
    shelf.believe();
    let unpacked = shelf.folder.path().join("unpacked");
    let mut extract = artefacts::ova();
    extract
        .arg("extract")
        .arg(artefacts::package())
        .arg("--trust")
        .arg(artefacts::key("ca.pem"));
    artefacts::success(extract.arg("-o").arg(&unpacked));
    let mut files: Vec<_> = std::fs::read_dir(&unpacked)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let whole: Vec<_> = files.iter().map(std::path::PathBuf::as_path).collect();
    let published = shelf.bring("1.0", &whole);
    assert_eq!(published["state"], "PUBLISHED", "{published}");

    let disk = files
        .iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "vmdk"))
        .unwrap();
    let mut bytes = std::fs::read(disk).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(disk, bytes).unwrap();
    let refused = shelf.bring("1.1", &whole);
    assert_eq!(refused["state"], "REJECTED");
    let named = disk.file_name().unwrap().to_str().unwrap();
    let failures = failures(&refused);
    assert_eq!(failures[0]["member"], named, "{failures:?}");
    assert!(
        failures[0]["code"].as_str().unwrap().contains("digest"),
        "{failures:?}"
    );
    let item = shelf.node.connector.get("/api/v1/items");
    assert_eq!(
        item[0]["version"], "1.0",
        "the good one is still what the item offers"
    );
    let kept = || {
        let found = Command::new("find")
            .arg(shelf.folder.path().join("state"))
            .args(["-path", "*/blobs/*", "-type", "f", "-o"])
            .args(["-path", "*/quarantine/*", "-type", "f"])
            .output()
            .unwrap();
        String::from_utf8(found.stdout).unwrap()
    };
    // What was refused is told before its bytes are gone.
    let end = Instant::now() + PATIENCE;
    while kept().lines().count() != files.len() {
        assert!(Instant::now() < end, "{}", kept());
        std::thread::sleep(Duration::from_millis(100));
    }
}
