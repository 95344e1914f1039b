//! Signed packages move between two appliances, past the server that orders it: the interfaces' counters tell which way.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed expectation of a test is a panic, and what was counted is told"
)]

use std::path::{Path, PathBuf};

use e2e::appliances::Appliances;
use e2e::noise::noise;
use e2e::switch::Switch;
use e2e::{artefacts, recipe};
use serde_json::{Value, json};

/// Bytes of a package's disk, which nothing packs.
const DISK: usize = 32 << 20;

/// Builds a signed package with a disk.
fn package(folder: &Path, version: &str, disk: &[u8]) -> PathBuf {
    let folder = folder.join(version);
    std::fs::create_dir(&folder).unwrap();
    let path = recipe::raw(&folder, disk, "");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace("version = \"1\"", &format!("version = \"{version}\""));
    std::fs::write(&path, text).unwrap();
    recipe::build_signed(&path)
}

#[test]
fn what_moves_between_two_appliances_goes_past_their_server_as_what_is_new_of_it_and_through_a_power_cut() {
    let Some(switch) = Switch::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut clouds = Appliances::new(switch);
    for node in [&clouds.north, &clouds.south] {
        node.believes();
    }
    let disk = noise(1, DISK);
    comes_whole(&clouds, &package(folder.path(), "1.0", &disk));
    comes_as_what_is_new_of_it(&clouds, folder.path(), disk);
    let third = package(folder.path(), "3.0", &noise(3, DISK));
    comes_through_a_power_cut(&mut clouds, &third);
    is_moved_away(&clouds);
    is_refused(&clouds, folder.path(), &third);
    for person in [&clouds.root, &clouds.north.person, &clouds.south.person] {
        person.get(&["audit", "verify"]);
    }
}

fn comes_whole(clouds: &Appliances, package: &Path) {
    clouds.north.push("images/web", "1.0", package);
    let original = std::fs::read(package).unwrap();
    let (moved, carried) = clouds.counted("whole", || clouds.moves("images/web", &[]));
    let bytes = original.len() as u64;
    eprintln!("package: {bytes}, wire: {}", moved["wire"]);
    assert!(bytes > DISK as u64, "the disk was packed");
    assert!(carried.north > bytes && carried.south > bytes, "{carried:?}");
    let orders = 1..bytes / 100;
    assert!(orders.contains(&carried.server), "{carried:?}");
    let audit = clouds.root.get(&["audit", "list"]);
    let (id, ours) = (moved["id"].as_str().unwrap(), "transfer.publish");
    let published =
        |entry: &Value| entry["action"] == ours && entry["object"].as_str().unwrap().starts_with(id);
    assert!(audit.as_array().unwrap().iter().any(published), "{audit}");
    assert_eq!(clouds.south.offers("web"), "1.0");
    assert!(clouds.south.pull("images/web") == original);
}

fn comes_as_what_is_new_of_it(clouds: &Appliances, folder: &Path, mut disk: Vec<u8>) {
    disk[DISK / 3] ^= 1;
    disk[DISK / 2..DISK / 2 + 4096].fill(7);
    let package = package(folder, "2.0", &disk);
    clouds.north.push("images/web", "2.0", &package);
    let original = std::fs::read(package).unwrap();
    let (moved, carried) = clouds.counted("what is new", || clouds.moves("images/web", &[]));
    let (bytes, wire) = (original.len() as u64, moved["wire"].as_u64().unwrap());
    eprintln!("package: {bytes}, wire: {wire}, reused: {}", moved["reused"]);
    assert!(wire < bytes / 8, "{moved}");
    assert!(carried.north < bytes / 4, "{carried:?}");
    assert!(clouds.south.pull("images/web") == original);
}

/// What came in the seconds before the cut may come twice.
fn comes_through_a_power_cut(clouds: &mut Appliances, package: &Path) {
    clouds.north.push("images/web", "3.0", package);
    let original = std::fs::read(package).unwrap();
    let bytes = original.len() as u64;
    let create = [
        "transfer",
        "create",
        "north:images/web",
        "south",
        "--rate",
        "1MiB",
    ];
    let ordered = clouds.root.get(&create);
    let id = ordered["id"].as_str().unwrap();
    let show = ["transfer", "show", id];
    let cut = clouds.wait_for(&show, |transfer| {
        transfer["done"].as_u64().is_some_and(|done| done > bytes / 4 * 3)
    });
    assert_eq!(cut["state"], "RECEIVING", "{cut}");
    clouds.south.loses_power();
    let before = clouds.carried().north;
    clouds.south.starts_again();
    let moved = clouds.wait_for(&show, |transfer| transfer["ended"].is_string());
    let again = clouds.carried().north - before;
    eprintln!(
        "power cut after {}: {again} of {bytes} bytes after it",
        cut["done"]
    );
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
    assert!(
        again < bytes / 4 * 3,
        "{again} of {bytes} bytes came again: {moved}"
    );
    assert!(clouds.south.pull("images/web") == original);
}

/// The appliance's own package, which is no longer where it was.
fn is_moved_away(clouds: &Appliances) {
    let package = artefacts::package();
    clouds.north.push("images/appliance", "1.0", &package);
    let (moved, carried) = clouds.counted("a move", || clouds.moves("images/appliance", &["--move"]));
    assert_eq!(moved["released"], true, "{moved}");
    let original = std::fs::read(package).unwrap();
    assert!(carried.server < original.len() as u64 / 100, "{carried:?}");
    assert_eq!(clouds.north.offers("appliance"), Value::Null);
    assert_eq!(clouds.south.offers("appliance"), "1.0");
    assert!(clouds.south.pull("images/appliance") == original);
}

/// A byte of a disk is changed, and what comes of it signed by somebody whom only the source believes.
fn is_refused(clouds: &Appliances, folder: &Path, package: &Path) {
    let mut bytes = std::fs::read(package).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let (tampered, stranger) = (folder.join("recipe.ova"), folder.join("stranger"));
    std::fs::write(&tampered, bytes).unwrap();
    artefacts::success(artefacts::ova().arg("keygen").arg(&stranger));
    let mut sign = artefacts::ova();
    sign.arg("sign").arg(&tampered).arg("--replace");
    sign.arg("--key").arg(stranger.join("key.pem"));
    artefacts::success(sign.arg("--cert").arg(stranger.join("cert.pem")));

    let north = &clouds.north.person;
    let any = north.file("any.json", &json!({ "signer": "any" }).to_string());
    north.get(&["policy", "set", &any.display().to_string()]);
    clouds.north.push("images/web", "4.0", &tampered);
    let create = ["transfer", "create", "north:images/web@4.0", "south", "--follow"];
    artefacts::exits(&mut clouds.root.command(&create), 1);
    let rejected = clouds.root.get(&["transfer", "list", "--state", "rejected"]);
    let id = rejected[0]["id"].as_str().unwrap();
    let why = clouds.root.get(&["transfer", "why", id]);
    assert_eq!(why["refusal"]["rule"], "certificate.untrusted", "{why}");
    let file = why["refusal"]["file"].as_str().unwrap();
    assert!(file.ends_with(".cert"), "{why}");
    assert_eq!(clouds.south.offers("web"), "3.0");
}
