//! Catalogs that follow another node's, with nodes that are what they say: who takes a version has all of one, what is to go goes,
//! and what people brought themselves is theirs.
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

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use clouds::{Clouds, Member, PATIENCE};
use package::{Publisher, noise};
use serde_json::Value;

const DISK: usize = 4 << 20;

type Files = BTreeMap<String, Vec<u8>>;

/// Ends what waits for it, also where a test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct World {
    clouds: Clouds,
    publisher: Publisher,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let clouds = Clouds::start(&["north", "south"]);
        let publisher = Publisher::new("Publisher");
        for node in &clouds.nodes {
            node.believes("publisher", &publisher.certificate);
        }
        Self {
            clouds,
            publisher,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn north(&self) -> &Member {
        &self.clouds.nodes[0]
    }

    fn south(&self) -> &Member {
        &self.clouds.nodes[1]
    }

    /// A package of a version, all of whose files are others; its descriptor, and its files.
    fn package(&self, version: &str, seed: u64) -> (PathBuf, Files) {
        let folder = self.folder.path().join(format!("{version}-{seed}"));
        let main = self.publisher.package(&folder, version, &noise(seed, DISK));
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        };
        let files = std::fs::read_dir(folder).unwrap().map(read).collect();
        (main, files)
    }

    fn file(&self, node: &Member, item: &str, version: &str, seed: u64) -> Vec<u8> {
        let path = self.folder.path().join(item);
        let bytes = noise(seed, 100_000);
        std::fs::write(&path, &bytes).unwrap();
        node.push(item, version, &path, &["--kind", "file"]);
        bytes
    }

    /// Has south's catalog follow north's; the subscription's id.
    fn follows(&self, more: &[&str]) -> String {
        let create = ["subscription", "create", "north:images", "south"];
        let made = self.clouds.server.person.get(&[create.as_slice(), more].concat());
        made["id"].as_str().unwrap().to_owned()
    }

    fn sync(&self, id: &str) {
        self.clouds.server.person.get(&["subscription", "sync", id]);
    }

    /// Looks again and again until what is offered there is so.
    fn until(&self, id: &str, item: &str, labels: &[&str]) {
        let start = Instant::now();
        while self.south().published(item) != labels {
            let path = format!("/api/v1/transfers?subscription={id}");
            let told = || self.clouds.server.curl.get(&path).json();
            assert!(
                start.elapsed() < PATIENCE,
                "{item} {:?} {}",
                self.south().published(item),
                told()
            );
            self.sync(id);
            sleep(Duration::from_millis(300));
        }
    }

    /// Waits until a subscription has looked once more from now on, and nothing that it ordered is under way.
    fn is_settled(&self, id: &str) {
        let path = format!("/api/v1/subscriptions/{id}");
        let looked = || self.clouds.server.curl.get(&path).json()["looked"].clone();
        let (before, start) = (looked(), Instant::now());
        self.sync(id);
        let tasks = "/api/v1/tasks?limit=100";
        let is_busy =
            |task: &Value| !["DONE", "FAILED", "CANCELLED"].contains(&task["state"].as_str().unwrap());
        loop {
            let all = self.clouds.server.curl.get(tasks).json();
            if looked() != before && !all.as_array().unwrap().iter().any(is_busy) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{all}");
            sleep(Duration::from_millis(100));
        }
    }
}

/// Removes what an item offers under a label.
fn remove(node: &Member, item: &str, version: &str) {
    node.person
        .get(&["catalog", "remove", &format!("images/{item}"), version, "--yes"]);
}

#[test]
fn whoever_takes_what_a_catalog_follows_has_all_of_one_version_or_all_of_the_next() {
    let world = World::new();
    let (north, south) = (world.north(), world.south());
    let (first, of_first) = world.package("1.0", 1);
    let (second, of_second) = world.package("2.0", 2);
    north.push("web", "1.0", &first, &[]);
    let id = world.follows(&["--every", "3600", "--keep", "current"]);
    world.until(&id, "web", &["1.0"]);
    assert!(south.pulled("web").unwrap() == of_first);

    let versions = [&of_first, &of_second];
    let is_done = AtomicBool::new(false);
    let seen = scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = Vec::new();
            let mut take = || {
                // One whose files go meanwhile comes to nothing, and not to a part of it.
                let taken = south.pulled("web");
                seen.extend(taken.map(|taken| versions.iter().position(|own| **own == taken)));
            };
            while !is_done.load(Ordering::SeqCst) {
                take();
            }
            take();
            seen
        });
        let ends = Ends(&is_done);
        north.push("web", "2.0", &second, &[]);
        // Until the one before has gone, too.
        world.until(&id, "web", &["2.0"]);
        drop(ends);
        reader.join().unwrap()
    });
    assert!(!seen.contains(&None), "a mix was taken: {seen:?}");
    assert!(seen.contains(&Some(1)), "{seen:?}");
    // In the end nothing is kept of the first.
    let start = Instant::now();
    while south.files("blobs").len() != of_second.len() {
        assert!(start.elapsed() < PATIENCE, "{:?}", south.files("blobs"));
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_people_brought_stays_whatever_a_subscription_keeps_mirrors_or_leaves() {
    let world = World::new();
    let (north, south) = (world.north(), world.south());
    // An item of their own; an older version of one that comes; and one that is called as what is to come.
    let own = world.file(south, "own", "1.0", 1);
    let before = world.file(south, "tool", "0.9", 2);
    let named = world.file(south, "named", "1.0", 3);
    world.file(north, "tool", "1.0", 4);
    world.file(north, "named", "1.0", 5);
    world.file(north, "passing", "1.0", 6);
    let id = world.follows(&["--every", "3600", "--keep", "current", "--mirror"]);
    world.until(&id, "tool", &["1.0", "0.9"]);
    world.until(&id, "passing", &["1.0"]);

    // The next version takes the place of the one that came, and of no other.
    let newest = world.file(north, "tool", "1.1", 7);
    world.until(&id, "tool", &["1.1", "0.9"]);
    // What vanishes goes, as far as it came so.
    for (item, version) in [
        ("passing", "1.0"),
        ("named", "1.0"),
        ("tool", "1.1"),
        ("tool", "1.0"),
    ] {
        remove(north, item, version);
    }
    world.until(&id, "passing", &[]);
    world.until(&id, "tool", &["0.9"]);
    world.is_settled(&id);
    assert_eq!(south.published("named"), ["1.0"]);

    // It comes back, and the subscription ends with all that it brought.
    let path = world.folder.path().join("tool");
    assert!(std::fs::read(&path).unwrap() == newest);
    north.push("tool", "1.1", &path, &["--kind", "file"]);
    world.until(&id, "tool", &["1.1", "0.9"]);
    let end = ["subscription", "remove", &id, "--content", "remove", "--yes"];
    world.clouds.server.person.get(&end);
    let start = Instant::now();
    while south.published("tool") != ["0.9"] {
        assert!(start.elapsed() < PATIENCE, "{:?}", south.published("tool"));
        sleep(Duration::from_millis(100));
    }
    for (item, bytes, version) in [
        ("own", &own, "1.0"),
        ("tool", &before, "0.9"),
        ("named", &named, "1.0"),
    ] {
        assert_eq!(south.published(item), [version]);
        let taken = south.pulled(item).unwrap();
        assert!(taken[item] == *bytes, "{item} is another");
    }
    // Bytes go after their version.
    let start = Instant::now();
    while south.files("blobs").len() != 3 {
        assert!(start.elapsed() < PATIENCE, "{:?}", south.files("blobs"));
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_subscription_that_is_left_with_what_it_brought_removes_nothing_any_more() {
    let world = World::new();
    let (north, south) = (world.north(), world.south());
    let bytes = world.file(north, "tool", "1.0", 1);
    let id = world.follows(&["--mirror"]);
    world.until(&id, "tool", &["1.0"]);
    world
        .clouds
        .server
        .person
        .get(&["subscription", "remove", &id, "--yes"]);
    remove(north, "tool", "1.0");
    // Another one that mirrors the same is another's business.
    let id = world.follows(&["--mirror"]);
    world.is_settled(&id);
    assert_eq!(south.published("tool"), ["1.0"]);
    assert!(south.pulled("tool").unwrap()["tool"] == bytes);
}
