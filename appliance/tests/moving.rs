//! Versions move from one cloud's node to another's, as a server orders, and as the destination's tenant believes.
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

use clouds::Clouds;
use package::{Publisher, noise};
use serde_json::json;

const DISK: usize = 24 << 20;

#[test]
fn a_signed_package_moves_and_the_next_version_moves_as_what_is_new_of_it() {
    let clouds = Clouds::start(&["north", "south"]);
    let [north, south] = &clouds.nodes[..] else {
        panic!()
    };
    let publisher = Publisher::new("Publisher");
    let folder = tempfile::tempdir().unwrap();
    let mut disk = noise(1, DISK);
    let first = publisher.package(&folder.path().join("1"), "1.0", &disk);
    let certificate = north.person.file("publisher.pem", publisher.certificate.trim());
    north.person.get(&[
        "trust",
        "add",
        certificate.to_str().unwrap(),
        "--name",
        "publisher",
    ]);
    north.push("web", "1.0", &first, &[]);

    // Whom nobody believes there is refused before any of the disk comes.
    let refused = clouds.moves(&Clouds::wish("web"), "REJECTED");
    assert_eq!(refused["refusal"]["rule"], "trust.nobody", "{refused}");
    assert!(refused["wire"].as_u64().unwrap() < 100_000, "{refused}");
    assert_eq!(south.files("quarantine"), [] as [std::path::PathBuf; 0]);
    assert_eq!(south.files("blobs"), [] as [std::path::PathBuf; 0]);
    assert_eq!(south.published("web"), [] as [String; 0]);

    south.person.get(&[
        "trust",
        "add",
        certificate.to_str().unwrap(),
        "--name",
        "publisher",
    ]);
    let moved = clouds.moves(&Clouds::wish("web"), "PUBLISHED");
    assert_eq!(south.published("web"), ["1.0"]);
    assert!(moved["wire"].as_u64().unwrap() >= DISK as u64, "{moved}");
    assert_eq!(moved["done"], moved["total"]);
    assert!(moved["receipt"].is_object(), "{moved}");
    let taken = folder.path().join("taken");
    let pulled = south
        .person
        .try_to(&["pull", "images/web", "-o", taken.to_str().unwrap()]);
    assert_eq!(pulled.status, 0, "{}", pulled.err);
    assert_eq!(std::fs::read(taken.join("web-disk.vmdk")).unwrap(), disk);

    for place in 0..5 {
        disk[place * 4_000_000 + 1234] ^= 1;
    }
    disk.splice(9_000_000..9_000_000, noise(2, 4096));
    let second = publisher.package(&folder.path().join("2"), "2.0", &disk);
    north.push("web", "2.0", &second, &[]);
    let moved = clouds.moves(&Clouds::wish("web"), "PUBLISHED");
    assert_eq!(south.published("web"), ["2.0", "1.0"]);
    let wire = moved["wire"].as_u64().unwrap();
    assert!(wire < 2 << 20, "{wire} of {DISK} bytes came again: {moved}");
    let taken = folder.path().join("taken-2");
    assert_eq!(
        south
            .person
            .try_to(&["pull", "images/web", "-o", taken.to_str().unwrap()])
            .status,
        0
    );
    assert_eq!(std::fs::read(taken.join("web-disk.vmdk")).unwrap(), disk);

    // What was there before doesn't come back by itself.
    let mut old = Clouds::wish("web");
    old["version"] = json!("1.0");
    old["to"] = json!({ "catalog": "images", "item": "web" });
    let refused = clouds.moves(&old, "REJECTED");
    assert_eq!(refused["refusal"]["rule"], "rollback.version", "{refused}");

    // But by an administrator's word, once, and where the version isn't there any more.
    let version = south.curl.get("/api/v1/items?q=web").json()[0]["id"].clone();
    let path = format!("/api/v1/items/{}/versions", version.as_str().unwrap());
    let versions = south.curl.get(&path).json();
    let first = versions
        .as_array()
        .unwrap()
        .iter()
        .find(|version| version["version"] == "1.0");
    let id = first.unwrap()["id"].as_str().unwrap();
    let revision = first.unwrap()["revision"].as_i64().unwrap();
    let removed = south
        .curl
        .change("DELETE", &format!("/api/v1/versions/{id}"), revision, None);
    assert_eq!(removed.status, 204);
    south
        .person
        .get(&["policy", "allow-downgrade", "images/web", "1.0"]);
    assert_eq!(south.person.get(&["policy", "downgrades"])[0]["version"], "1.0");
    clouds.moves(&old, "PUBLISHED");
    assert_eq!(south.person.get(&["policy", "downgrades"]), json!([]));
    assert_eq!(south.published("web"), ["1.0", "2.0"]);
    let items = south.curl.get("/api/v1/items?q=web").json();
    assert_eq!(items[0]["version"], "2.0", "what is current is the newest");
    let audit = south.curl.get("/api/v1/audit?limit=100").json();
    let actions: Vec<_> = audit
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["action"].clone())
        .collect();
    assert!(actions.contains(&json!("downgrade.allow")), "{actions:?}");
}

#[test]
fn an_archive_is_judged_before_its_disk_comes_wherever_in_it_that_lies() {
    let clouds = Clouds::start(&["north", "south"]);
    let [north, south] = &clouds.nodes[..] else {
        panic!()
    };
    let (publisher, stranger) = (Publisher::new("Publisher"), Publisher::new("Stranger"));
    north.believes("publisher", &publisher.certificate);
    north.believes("stranger", &stranger.certificate);
    south.believes("publisher", &publisher.certificate);
    let folder = tempfile::tempdir().unwrap();
    let disk = noise(1, DISK);
    let orders = [
        ["web.ovf", "web.mf", "web.cert", "web-disk.vmdk"],
        ["web.ovf", "web-disk.vmdk", "web.mf", "web.cert"],
    ];
    for (number, order) in orders.into_iter().enumerate() {
        let archive = |name: &str, by: &Publisher, version: &str| {
            let folder = folder.path().join(format!("{name}-{number}"));
            let path = by.archive(&folder, version, &disk, order);
            north.push(name, version, &path, &[]);
        };
        let version = format!("1.{number}");
        archive("strange", &stranger, &version);
        let refused = clouds.moves(&Clouds::wish("strange"), "REJECTED");
        assert_eq!(refused["refusal"]["rule"], "certificate.untrusted", "{refused}");
        assert!(refused["wire"].as_u64().unwrap() < 1 << 20, "{refused}");
        archive("web", &publisher, &version);
        let moved = clouds.moves(&Clouds::wish("web"), "PUBLISHED");
        assert_eq!(moved["done"], moved["total"], "{moved}");
    }
    assert_eq!(south.published("strange"), [] as [String; 0]);
    assert_eq!(south.published("web"), ["1.1", "1.0"]);
    // Of the same disk in other places of an archive, what lies between comes.
    let pulled = south.pulled("web").unwrap();
    assert_eq!(
        pulled["web.ova"],
        std::fs::read(folder.path().join("web-1/web.ova")).unwrap()
    );
}

#[test]
fn a_node_whose_state_is_restored_takes_no_older_version_and_no_grant_of_before() {
    let mut clouds = Clouds::start(&["north", "south"]);
    let folder = tempfile::tempdir().unwrap();
    let bring = |clouds: &Clouds, version: &str| {
        let path = folder.path().join("tool.bin");
        std::fs::write(
            &path,
            noise(version.len() as u64 + version.as_bytes()[0] as u64, 100_000),
        )
        .unwrap();
        clouds.nodes[0].push("tool", version, &path, &["--kind", "file"]);
    };
    bring(&clouds, "1.0");
    clouds.moves(&Clouds::wish("tool"), "PUBLISHED");
    let backup = folder.path().join("south.backup");
    let saved = clouds.nodes[1]
        .person
        .command(&["backup", backup.to_str().unwrap(), "--state"])
        .arg(clouds.nodes[1].service.state.path())
        .output()
        .unwrap();
    assert!(
        saved.status.success(),
        "{}",
        String::from_utf8_lossy(&saved.stderr)
    );
    bring(&clouds, "2.0");
    clouds.moves(&Clouds::wish("tool"), "PUBLISHED");

    clouds.nodes[1].service.kill();
    let restored = clouds.nodes[1]
        .person
        .command(&["restore", backup.to_str().unwrap(), "--replace", "--state"])
        .arg(clouds.nodes[1].service.state.path())
        .output()
        .unwrap();
    assert!(
        restored.status.success(),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    clouds.nodes[1].service.start_again("node");
    assert_eq!(clouds.nodes[1].published("tool"), ["1.0"], "as it was");
    bring(&clouds, "1.5");
    let mut old = Clouds::wish("tool");
    old["version"] = json!("1.5");
    let refused = clouds.moves(&old, "REJECTED");
    assert_eq!(refused["refusal"]["rule"], "rollback.version", "{refused}");
    clouds.moves(&Clouds::wish("tool"), "PUBLISHED");
}
