//! A disk that gets full while a version comes: it is not published, and comes when there is room.
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
#[path = "connector/store.rs"]
mod store;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clouds::{Clouds, Member, PATIENCE};
use package::noise;
use serde_json::json;
use store::Store;

const DISK: u64 = 128 << 20;
const SIZE: usize = 24 << 20;

fn bring(node: &Member, folder: &Path, item: &str, bytes: &[u8]) {
    let path = folder.join(item);
    std::fs::write(&path, bytes).unwrap();
    node.push(item, "1.0", &path, &["--kind", "file"]);
}

/// Takes all room that there is.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for piece in [1 << 20, 4 << 10] {
        while file
            .write_all(&vec![1; piece])
            .and_then(|()| file.sync_data())
            .is_ok()
        {}
    }
}

/// Waits until nobody has anything there that is on its way.
fn is_quiet(node: &Member) {
    let start = Instant::now();
    while node.files("quarantine") != [] as [PathBuf; 0] {
        assert!(start.elapsed() < PATIENCE, "{:?}", node.files("quarantine"));
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_disk_that_gets_full_in_the_midst_publishes_nothing_and_takes_the_rest_when_there_is_room() {
    let mut clouds = Clouds::start(&["north", "south"]);
    let Some(store) = Store::under(&mut clouds.nodes[1].service, DISK) else {
        return;
    };
    clouds.are_live();
    let folder = tempfile::tempdir().unwrap();
    let (north, south) = (&clouds.nodes[0], &clouds.nodes[1]);

    // What the disk can't hold is refused before any of it comes.
    bring(north, folder.path(), "huge", &vec![0; 150 << 20]);
    let refused = clouds.moves(&Clouds::wish("huge"), "REJECTED");
    assert_eq!(refused["refusal"]["rule"], "disk.full", "{refused}");
    assert_eq!(refused["wire"], 0, "{refused}");
    is_quiet(south);

    let bytes = noise(1, SIZE);
    bring(north, folder.path(), "tool", &bytes);
    let mut wish = Clouds::wish("tool");
    wish["rate"] = json!(4 << 20);
    let id = clouds.ordered(&wish);
    clouds.waits(&id, |transfer| transfer["done"].as_u64().unwrap() > 2 << 20);
    let filler = store.at.join("filler");
    fill(&filler);
    let failed = clouds.ended(&id);
    assert_eq!(failed["state"], "FAILED", "{failed}");
    assert_eq!(failed["refusal"]["rule"], "vcc.state-full", "{failed}");
    assert_eq!(south.published("tool"), [] as [String; 0]);
    assert_eq!(south.files("blobs"), [] as [PathBuf; 0]);

    std::fs::remove_file(&filler).unwrap();
    let retry = format!("/api/v1/transfers/{id}/retry");
    assert!(clouds.server.curl.post(&retry, &json!({})).status < 300);
    let moved = clouds.ended(&id);
    assert_eq!(moved["state"], "PUBLISHED", "{moved}");
    assert!(south.pulled("tool").unwrap()["tool"] == bytes);
    is_quiet(south);
    clouds.nodes[1].service.kill();
}
