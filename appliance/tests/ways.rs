//! Versions move where the destination doesn't reach the source: the source reaches out, or a third node passes bytes on. What is
//! refused on the direct way is refused on each other, and in the end the same bytes are there.
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

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clouds::{Clouds, Member, PATIENCE};
use package::{Publisher, noise};
use serde_json::{Value, json};

const DISK: usize = 6 << 20;
/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// A package of a publisher whom both believe, and one of somebody whom the source alone believes.
struct Stock {
    folder: tempfile::TempDir,
    disk: Vec<u8>,
}

impl Stock {
    fn bring(clouds: &Clouds) -> Self {
        let (publisher, stranger) = (Publisher::new("Publisher"), Publisher::new("Stranger"));
        let (north, south) = (&clouds.nodes[0], &clouds.nodes[1]);
        north.believes("publisher", &publisher.certificate);
        north.believes("stranger", &stranger.certificate);
        south.believes("publisher", &publisher.certificate);
        let folder = tempfile::tempdir().unwrap();
        let disk = noise(1, DISK);
        let good = publisher.package(&folder.path().join("good"), "1.0", &disk);
        north.push("web", "1.0", &good, &[]);
        let strange = stranger.package(&folder.path().join("strange"), "1.0", &noise(2, DISK));
        north.push("strange", "1.0", &strange, &[]);
        Self { folder, disk }
    }

    /// The source's own copy of the disk that is to move, once what it tells of its chunks has been made.
    fn copy_at(&self, north: &Member) -> PathBuf {
        let start = Instant::now();
        while north.files("indexes").len() < 2 {
            assert!(start.elapsed() < PATIENCE);
            sleep(Duration::from_millis(50));
        }
        let good = std::fs::read(self.folder.path().join("good/web-disk.vmdk")).unwrap();
        let blobs = north.files("blobs");
        let is_it = |path: &&PathBuf| std::fs::read(path).unwrap() == good;
        blobs.iter().find(is_it).unwrap().clone()
    }
}

/// Turns a bit on a source's disk; the same again turns it back.
fn turn_a_bit(blob: &Path, at: u64) {
    std::fs::set_permissions(blob, std::fs::Permissions::from_mode(0o600)).unwrap();
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(blob)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

fn has_nothing(node: &Member) {
    for folder in ["quarantine", "blobs", "indexes"] {
        assert_eq!(node.files(folder), [] as [PathBuf; 0], "{folder}");
    }
}

fn on(way: &str, item: &str) -> Value {
    let mut wish = Clouds::wish(item);
    wish["route"] = json!(way);
    wish
}

/// What is refused on a way, and leaves nothing at the destination.
fn refusals(clouds: &Clouds, stock: &Stock, way: &str) {
    let (north, south) = (&clouds.nodes[0], &clouds.nodes[1]);
    let refused = clouds.moves(&on(way, "strange"), "REJECTED");
    assert_eq!(
        refused["refusal"]["rule"], "certificate.untrusted",
        "{way}: {refused}"
    );
    assert!(refused["wire"].as_u64().unwrap() < 100_000, "{way}: {refused}");
    has_nothing(south);

    let blob = stock.copy_at(north);
    turn_a_bit(&blob, 3_000_000);
    let refused = clouds.moves(&on(way, "web"), "REJECTED");
    turn_a_bit(&blob, 3_000_000);
    let told = &refused["refusal"];
    assert_eq!(told["rule"], "source.chunk", "{way}: {refused}");
    assert_eq!(told["file"], "web-disk.vmdk", "{way}: {refused}");
    assert!(told["chunk"].as_u64().unwrap() <= 3_000_000, "{way}: {refused}");
    assert!(refused["receipt"].is_object(), "{way}: {refused}");
    has_nothing(south);
}

/// What was tried in vain.
fn tried(transfer: &Value) -> Vec<&str> {
    let tried = transfer["tried"].as_array().unwrap().iter();
    tried
        .map(|tried| {
            assert_ne!(tried["reason"], "", "{transfer}");
            tried["route"].as_str().unwrap()
        })
        .collect()
}

/// What came is what was sent, and came once.
fn is_there(clouds: &Clouds, stock: &Stock, moved: &Value) {
    let south = &clouds.nodes[1];
    assert_eq!(south.published("web"), ["1.0"]);
    let taken = south.pulled("web").unwrap();
    assert_eq!(taken.len(), 4, "{:?}", taken.keys());
    assert!(taken["web-disk.vmdk"] == stock.disk);
    let wire = moved["wire"].as_u64().unwrap();
    assert!((DISK as u64..DISK as u64 + (1 << 20)).contains(&wire), "{moved}");
}

#[test]
fn a_source_that_nobody_reaches_reaches_out_and_is_believed_no_more_for_that() {
    let clouds = Clouds::start(&["north", "south"]);
    let stock = Stock::bring(&clouds);
    clouds.is_reached_at(0, NOWHERE);
    // Without another way this is the end.
    let failed = clouds.moves(&on("direct", "web"), "FAILED");
    assert_eq!(tried(&failed), ["direct"]);
    assert_eq!(failed["wire"], 0, "{failed}");
    refusals(&clouds, &stock, "reversed");
    let moved = clouds.moves(&Clouds::wish("web"), "PUBLISHED");
    assert_eq!(tried(&moved), ["direct"]);
    assert_eq!(moved["route"], "reversed", "{moved}");
    is_there(&clouds, &stock, &moved);
}

#[test]
fn a_third_node_passes_on_what_two_say_that_reach_neither_each_other_and_keeps_nothing_of_it() {
    let clouds = Clouds::start(&["north", "south", "middle"]);
    let stock = Stock::bring(&clouds);
    clouds.is_reached_at(0, NOWHERE);
    clouds.is_reached_at(1, NOWHERE);
    refusals(&clouds, &stock, "relay");
    let moved = clouds.moves(&Clouds::wish("web"), "PUBLISHED");
    assert_eq!(tried(&moved), ["direct", "reversed"]);
    assert_eq!(moved["route"], "relay", "{moved}");
    is_there(&clouds, &stock, &moved);
    let middle = &clouds.nodes[2];
    has_nothing(middle);
    assert_eq!(middle.curl.get("/api/v1/items").json(), json!([]));
    let metrics = String::from_utf8(middle.curl.get("/metrics").body).unwrap();
    let passed = metrics
        .lines()
        .find_map(|line| line.strip_prefix("vcc_relay_bytes_total "));
    let passed: f64 = passed.unwrap().parse().unwrap();
    assert!(passed > DISK as f64, "{passed}");
}
