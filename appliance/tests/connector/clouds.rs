//! A server and nodes in clouds of their own, each a process, with somebody who administers all of them.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::curl::{Answer, Curl};
use super::people::{Person, Service};

/// The longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A connector, and its administrator with a command line and with curl.
pub(crate) struct Member {
    pub(crate) service: Service,
    pub(crate) person: Person,
    pub(crate) curl: Curl,
    /// A node's id at the server.
    pub(crate) id: String,
}

impl Member {
    fn start(role: &str) -> Self {
        let service = Service::start(role);
        let person = Person::administrator(&service);
        let curl = Curl::log_in(&service, "root");
        Self {
            service,
            person,
            curl,
            id: String::new(),
        }
    }

    /// A file of the state directory.
    pub(crate) fn state(&self, path: &str) -> PathBuf {
        self.service.state.path().join(path)
    }

    /// Brings a version of an item in the catalog `images`, and waits until it is published.
    pub(crate) fn push(&self, item: &str, version: &str, main: &Path, more: &[&str]) {
        let item = format!("images/{item}");
        let pushed = self
            .person
            .try_to(&[&["push", &item, version, main.to_str().unwrap()], more].concat());
        assert_eq!(pushed.status, 0, "{}{}", pushed.out, pushed.err);
    }

    /// What the catalog has of an item: the labels of its published versions.
    pub(crate) fn published(&self, item: &str) -> Vec<String> {
        let items = self.curl.get(&format!("/api/v1/items?q={item}")).json();
        let found = items
            .as_array()
            .unwrap()
            .iter()
            .find(|found| found["name"] == item);
        let Some(found) = found else { return Vec::new() };
        let path = format!("/api/v1/items/{}/versions", found["id"].as_str().unwrap());
        let versions = self.curl.get(&path).json();
        let published = |version: &&Value| version["state"] == "PUBLISHED";
        let label = |version: &Value| version["version"].as_str().unwrap().to_owned();
        versions
            .as_array()
            .unwrap()
            .iter()
            .filter(published)
            .map(label)
            .collect()
    }

    /// Believes a publisher, by its certificate.
    pub(crate) fn believes(&self, name: &str, certificate: &str) {
        let file = self.person.file(&format!("{name}.pem"), certificate.trim());
        self.person
            .get(&["trust", "add", file.to_str().unwrap(), "--name", name]);
    }

    /// Takes an item's current version; nothing where that doesn't work, and otherwise the contents of the files by their names.
    pub(crate) fn pulled(&self, item: &str) -> Option<BTreeMap<String, Vec<u8>>> {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("taken");
        std::fs::create_dir(&into).unwrap();
        let item = format!("images/{item}");
        let pulled = self
            .person
            .try_to(&["pull", &item, "-o", &format!("{}/", into.to_str().unwrap())]);
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        };
        let taken = || std::fs::read_dir(&into).unwrap().map(read).collect();
        (pulled.status == 0).then(taken)
    }

    /// Files below a folder of the state.
    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.state(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => found.push(entry.path()),
                }
            }
        }
        found
    }
}

/// A server with its nodes.
pub(crate) struct Clouds {
    pub(crate) server: Member,
    pub(crate) nodes: Vec<Member>,
}

impl Clouds {
    /// One with a node for each cloud, which has a catalog `images`.
    pub(crate) fn start(clouds: &[&str]) -> Self {
        let server = Member::start("server");
        let mut all = Self {
            server,
            nodes: Vec::new(),
        };
        let address = all.server.service.address.clone();
        for cloud in clouds {
            all.join(cloud, &address);
        }
        all.are_live();
        all
    }

    /// Takes in another node, which reaches the server at an address.
    pub(crate) fn join(&mut self, cloud: &str, address: &str) {
        let mut node = Member::start("node");
        let code = node.person.home.path().join("enrolment-code");
        let made = self.server.person.call(&["node", "code"], &[("--output", &code)]);
        assert_eq!(made.status, 0, "{}", made.err);
        let join = ["node", "join", address, "--cloud", cloud, "--name", cloud];
        let joined = node.person.call(&join, &[("--code-file", &code)]);
        assert_eq!(joined.status, 0, "{}", joined.err);
        let fingerprint = node.person.get(&["status"])["enrolment"]["fingerprint"].clone();
        let approved = self
            .server
            .person
            .get(&["node", "approve", cloud, fingerprint.as_str().unwrap()]);
        node.id = approved["id"].as_str().unwrap().to_owned();
        node.person.get(&["catalog", "create", "images"]);
        self.nodes.push(node);
    }

    /// Waits until the server has heard of all nodes, and where they are reached.
    pub(crate) fn are_live(&self) {
        for node in &self.nodes {
            self.wait_for_node(&node.id, |node| {
                node["status"] == "LIVE" && node["endpoint"].is_string()
            });
        }
    }

    fn wait_for_node(&self, id: &str, wanted: impl Fn(&Value) -> bool) {
        let start = Instant::now();
        loop {
            let node = self.server.curl.get(&format!("/api/v1/nodes/{id}")).json();
            if wanted(&node) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{node}");
            sleep(Duration::from_millis(100));
        }
    }

    /// Has a node tell that it is reached somewhere else, and waits until the server knows.
    pub(crate) fn is_reached_at(&self, node: usize, endpoint: &str) {
        let node = &self.nodes[node];
        let path = "/api/v1/configuration";
        let revision = node.curl.get(path).json()["revision"].as_i64().unwrap();
        let settings = json!({ "peer_endpoint": endpoint });
        let changed = node.curl.change("PUT", path, revision, Some(&settings));
        assert_eq!(changed.status, 200, "{}", changed.json());
        self.wait_for_node(&node.id, |node| node["endpoint"] == endpoint);
    }

    /// What is wanted of the item of a name, from the first node to the second.
    pub(crate) fn wish(item: &str) -> Value {
        json!({
            "source": "north",
            "destination": "south",
            "from": { "catalog": "images", "item": item },
        })
    }

    /// Orders a transfer.
    pub(crate) fn order(&self, wish: &Value) -> Answer {
        self.server.curl.post("/api/v1/transfers", wish)
    }

    /// Orders one that the server takes; its id.
    pub(crate) fn ordered(&self, wish: &Value) -> String {
        let answer = self.order(wish);
        assert_eq!(answer.status, 202, "{}", answer.json());
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn transfer(&self, id: &str) -> Value {
        self.server.curl.get(&format!("/api/v1/transfers/{id}")).json()
    }

    /// Waits until a transfer has ended.
    pub(crate) fn ended(&self, id: &str) -> Value {
        self.waits(id, |transfer| transfer["ended"].is_string())
    }

    /// Waits for something about a transfer.
    pub(crate) fn waits(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let transfer = self.transfer(id);
            if wanted(&transfer) {
                return transfer;
            }
            assert!(start.elapsed() < PATIENCE, "{transfer}");
            sleep(Duration::from_millis(50));
        }
    }

    /// Moves a version, and sees that it ends in a state.
    pub(crate) fn moves(&self, wish: &Value, state: &str) -> Value {
        let ended = self.ended(&self.ordered(wish));
        assert_eq!(ended["state"], state, "{ended}");
        ended
    }
}
