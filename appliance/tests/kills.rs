//! `kill -9` of source, destination and server at moments that nobody chose, and power cuts that take what was not synced: what
//! moves is there in the end, whole, once, and nothing else is left over.
//!
//! `KILLS` in the environment says how often: 20 if it says nothing.
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

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use clouds::{Clouds, Member, PATIENCE};
use package::noise;
use serde_json::{Value, json};
use store::Store;

const SIZE: usize = 12 << 20;

fn kills() -> usize {
    let text = std::env::var("KILLS").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// The same numbers at every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A version whose files are new in places.
fn build(folder: &Path, number: usize) -> (PathBuf, Vec<u8>) {
    let mut bytes = noise(1, SIZE);
    // Half of it is another each time, in pieces.
    for piece in 0..6 {
        let part = noise((number * 100 + piece) as u64, SIZE / 12);
        let at = piece * (SIZE / 6);
        bytes[at..at + part.len()].copy_from_slice(&part);
    }
    let path = folder.join("tool.bin");
    std::fs::write(&path, &bytes).unwrap();
    (path, bytes)
}

fn wish() -> Value {
    let mut wish = Clouds::wish("tool");
    // So slowly that there is time to die in.
    wish["rate"] = json!(4 << 20);
    wish
}

/// What the server tells of a transfer, whoever was killed.
fn ended(clouds: &Clouds, id: &str) -> Value {
    let start = Instant::now();
    loop {
        let answer = clouds.server.curl.get(&format!("/api/v1/transfers/{id}"));
        if answer.status == 200 {
            let transfer = answer.json();
            if transfer["ended"].is_string() {
                return transfer;
            }
            assert!(start.elapsed() < PATIENCE, "{transfer}");
        }
        assert!(start.elapsed() < PATIENCE, "the server answers {}", answer.status);
        sleep(Duration::from_millis(100));
    }
}

/// The destination has what was sent, and nothing else.
fn check(south: &Member, label: &str, bytes: &[u8], versions: usize) {
    let published = south.published("tool");
    assert_eq!(
        published.first().map(String::as_str),
        Some(label),
        "{published:?}"
    );
    assert_eq!(published.len(), versions, "{published:?}");
    let taken = south.person.home.path().join("taken.bin");
    let _ = std::fs::remove_file(&taken);
    let pulled = south
        .person
        .try_to(&["pull", "images/tool", "-o", taken.to_str().unwrap()]);
    assert_eq!(pulled.status, 0, "{}", pulled.err);
    assert!(
        std::fs::read(&taken).unwrap() == bytes,
        "other bytes came than were sent"
    );
    let start = Instant::now();
    // What a crash left over is swept after a start.
    while !south.files("quarantine").is_empty() || south.files("blobs").len() != versions {
        assert!(
            start.elapsed() < PATIENCE,
            "{:?} {:?}",
            south.files("quarantine"),
            south.files("blobs")
        );
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_transfer_comes_to_its_end_whoever_is_killed_meanwhile() {
    let mut clouds = Clouds::start(&["north", "south"]);
    let folder = tempfile::tempdir().unwrap();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let kills = kills();
    let (mut killed, mut number) = (0, 0);
    while killed < kills {
        number += 1;
        let (path, bytes) = build(folder.path(), number);
        let label = format!("{number}.0");
        clouds.nodes[0].push("tool", &label, &path, &["--kind", "file"]);
        let id = clouds.ordered(&wish());
        for _ in 0..2 {
            sleep(Duration::from_millis(chance.below(1500)));
            match chance.below(3) {
                0 => clouds.server.service.kill_and_start("server"),
                1 => clouds.nodes[0].service.kill_and_start("node"),
                _ => clouds.nodes[1].service.kill_and_start("node"),
            }
            killed += 1;
        }
        let transfer = ended(&clouds, &id);
        assert_eq!(transfer["state"], "PUBLISHED", "{transfer}");
        // Nothing is counted that didn't come, and little comes twice.
        assert!(
            transfer["wire"].as_u64().unwrap() <= 2 * SIZE as u64,
            "{transfer}"
        );
        check(&clouds.nodes[1], &label, &bytes, number);
    }
    println!("{killed} kills, {number} transfers: all of them published, whole and once");
}

#[test]
fn a_transfer_comes_to_its_end_over_power_cuts_of_the_destination() {
    let mut clouds = Clouds::start(&["north", "south"]);
    let Some(store) = Store::under(&mut clouds.nodes[1].service, 1 << 30) else {
        return;
    };

    let folder = tempfile::tempdir().unwrap();
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let cuts = kills().div_ceil(4);
    let (mut cut, mut number) = (0, 0);
    while cut < cuts {
        number += 1;
        let (path, bytes) = build(folder.path(), number);
        let label = format!("{number}.0");
        clouds.nodes[0].push("tool", &label, &path, &["--kind", "file"]);
        let id = clouds.ordered(&wish());
        sleep(Duration::from_millis(500 + chance.below(3000)));
        let south = &mut clouds.nodes[1];
        south.service.kill();
        store.lose_power();
        south.service.start_again("node");
        cut += 1;
        let transfer = ended(&clouds, &id);
        assert_eq!(transfer["state"], "PUBLISHED", "{transfer}");
        check(&clouds.nodes[1], &label, &bytes, number);
    }
    clouds.nodes[1].service.kill();
    println!("{cut} power cuts, {number} transfers: all of them published, whole and once");
}
