//! What is moved goes at its source when its destination has signed for it, and not before: whoever is killed meanwhile, and whatever
//! is refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says where"
)]

#[path = "connector/clouds.rs"]
mod clouds;
#[path = "connector/curl.rs"]
mod curl;
#[path = "connector/package.rs"]
mod package;
#[path = "connector/people.rs"]
mod people;
#[path = "connector/relay.rs"]
mod relay;

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clouds::{Clouds, Member, PATIENCE};
use package::{Publisher, noise};
use relay::Relay;
use serde_json::{Value, json};

const SIZE: usize = 4 << 20;

fn moving(item: &str) -> Value {
    let mut wish = Clouds::wish(item);
    wish["moves"] = json!(true);
    wish
}

/// One that takes so long that something can be seen of it.
fn slowly(item: &str) -> Value {
    let mut wish = moving(item);
    wish["rate"] = json!(SIZE / 2);
    wish
}

fn bring_file(node: &Member, folder: &Path, version: &str, seed: u64) -> Vec<u8> {
    let (path, bytes) = (folder.join("tool"), noise(seed, SIZE));
    std::fs::write(&path, &bytes).unwrap();
    node.push("tool", version, &path, &["--kind", "file"]);
    bytes
}

/// Waits until nothing is left of what was there.
fn is_empty(node: &Member) {
    let start = Instant::now();
    for folder in ["blobs", "indexes", "quarantine"] {
        while node.files(folder) != [] as [PathBuf; 0] {
            assert!(start.elapsed() < PATIENCE, "{:?}", node.files(folder));
            sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn a_package_and_a_file_go_at_their_source_after_they_were_published_and_not_before() {
    let clouds = Clouds::start(&["north", "south"]);
    let (north, south) = (&clouds.nodes[0], &clouds.nodes[1]);
    let folder = tempfile::tempdir().unwrap();
    let publisher = Publisher::new("Publisher");
    north.believes("publisher", &publisher.certificate);
    south.believes("publisher", &publisher.certificate);
    let disk = noise(1, SIZE);
    let package = publisher.package(&folder.path().join("web"), "1.0", &disk);
    north.push("web", "1.0", &package, &[]);
    let bytes = bring_file(north, folder.path(), "1.0", 2);
    for item in ["web", "tool"] {
        let id = clouds.ordered(&slowly(item));
        clouds.waits(&id, |transfer| transfer["state"] == "RECEIVING");
        assert_eq!(north.published(item), ["1.0"], "while it comes it is there");
        let ended = clouds.ended(&id);
        assert_eq!(ended["state"], "PUBLISHED", "{ended}");
        let released = clouds.waits(&id, |transfer| !transfer["released"].is_null());
        assert_eq!(released["released"], true, "{released}");
        assert_eq!(north.published(item), [] as [String; 0]);
        assert_eq!(south.published(item), ["1.0"]);
    }
    is_empty(north);
    assert!(south.pulled("web").unwrap()["web-disk.vmdk"] == disk);
    assert!(south.pulled("tool").unwrap()["tool"] == bytes);
    let audit = north.curl.get("/api/v1/audit?limit=100").json();
    let releases = audit.as_array().unwrap().iter();
    let releases = releases.filter(|entry| entry["action"] == "transfer.release");
    assert_eq!(releases.count(), 2);
}

#[test]
fn what_is_refused_stopped_or_copied_stays_at_its_source_as_it_was() {
    let clouds = Clouds::start(&["north", "south"]);
    let (north, south) = (&clouds.nodes[0], &clouds.nodes[1]);
    let folder = tempfile::tempdir().unwrap();
    let stranger = Publisher::new("Stranger");
    north.believes("stranger", &stranger.certificate);
    let disk = noise(1, SIZE);
    let package = stranger.package(&folder.path().join("web"), "1.0", &disk);
    north.push("web", "1.0", &package, &[]);
    let bytes = bring_file(north, folder.path(), "1.0", 2);
    let before = north.files("blobs").len();

    let refused = clouds.moves(&moving("web"), "REJECTED");
    assert_eq!(refused["refusal"]["rule"], "trust.nobody", "{refused}");
    let id = clouds.ordered(&slowly("tool"));
    clouds.waits(&id, |transfer| transfer["state"] == "RECEIVING");
    let path = format!("/api/v1/transfers/{id}/cancel");
    assert!(clouds.server.curl.post(&path, &json!({})).status < 300);
    let stopped = clouds.ended(&id);
    assert_eq!(stopped["state"], "CANCELLED", "{stopped}");
    for ended in [refused, stopped] {
        assert_ne!(ended["released"], true, "{ended}");
    }
    assert_eq!(south.published("tool"), [] as [String; 0]);
    clouds.moves(&Clouds::wish("tool"), "PUBLISHED");
    assert!(north.pulled("web").unwrap()["web-disk.vmdk"] == disk);
    assert!(north.pulled("tool").unwrap()["tool"] == bytes);
    assert_eq!(north.files("blobs").len(), before);
    let audit = north.curl.get("/api/v1/audit?limit=100").json();
    assert!(!audit.to_string().contains("transfer.release"), "{audit}");
}

#[test]
fn a_source_that_is_killed_between_receipt_and_release_releases_when_it_is_back() {
    let mut clouds = Clouds::start(&[]);
    let address = clouds.server.service.address.clone();
    // What the server says to the source can be held up.
    let way = Relay::to(&address);
    clouds.join("north", &way.address);
    clouds.join("south", &address);
    clouds.are_live();
    let folder = tempfile::tempdir().unwrap();
    let bytes = bring_file(&clouds.nodes[0], folder.path(), "1.0", 1);
    let id = clouds.ordered(&slowly("tool"));
    clouds.waits(&id, |transfer| transfer["state"] == "RECEIVING");
    way.down.hold_after(0);
    let ended = clouds.ended(&id);
    assert_eq!(ended["state"], "PUBLISHED", "{ended}");
    assert!(ended["receipt"].is_object(), "{ended}");
    assert_eq!(ended["released"], Value::Null, "{ended}");
    assert_eq!(clouds.nodes[0].published("tool"), ["1.0"]);
    clouds.nodes[0].service.kill();
    way.down.release();
    clouds.nodes[0].service.start_again("node");
    let released = clouds.waits(&id, |transfer| !transfer["released"].is_null());
    assert_eq!(released["released"], true, "{released}");
    assert_eq!(released["state"], "PUBLISHED");
    let (north, south) = (&clouds.nodes[0], &clouds.nodes[1]);
    assert_eq!(north.published("tool"), [] as [String; 0]);
    is_empty(north);
    assert!(south.pulled("tool").unwrap()["tool"] == bytes);
}
