//! Signed packages move between two appliances, past the server that orders it: the interfaces' counters tell which way.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed expectation of a test is a panic, and what was counted is told"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use e2e::connector::Connector;
use e2e::guest::{Guest, kept_disks};
use e2e::person::Person;
use e2e::switch::{Port, SERVER, Switch};
use e2e::{artefacts, recipe};
use serde_json::{Value, json};

/// Emulated machines on shared cores.
const PATIENCE: Duration = Duration::from_secs(300);
/// Bytes of a package's disk, which nothing packs.
const DISK: usize = 32 << 20;

/// A cloud's appliance, and its administrator.
struct Node {
    name: &'static str,
    port: Port,
    disks: (tempfile::TempDir, PathBuf),
    guest: Option<Guest>,
    person: Person,
}

impl Node {
    fn new(switch: &Switch, name: &'static str, number: u8) -> Self {
        let (port, disks) = (switch.port(name, number), kept_disks());
        let guest = start(&port, &disks.1, name);
        let code = guest.setup_code();
        guest.wait_console(&format!("address={}/24", port.address), 1);
        let person = Person::set_up(&port.address, &guest.fingerprint(), &code);
        person.get(&["catalog", "create", "images"]);
        Self {
            name,
            port,
            disks,
            guest: Some(guest),
            person,
        }
    }

    fn loses_power(&mut self) {
        self.guest.take().unwrap().pull_the_plug();
    }

    fn starts_again(&mut self) {
        self.guest = Some(start(&self.port, &self.disks.1, self.name));
    }

    fn console(&self) -> String {
        self.guest.as_ref().map(Guest::console).unwrap_or_default()
    }

    /// Believes who signed the packages.
    fn believes(&self) {
        let certificate = artefacts::key("ca.pem").display().to_string();
        self.person
            .get(&["trust", "add", &certificate, "--name", "publisher"]);
    }

    fn push(&self, item: &str, version: &str, package: &Path) {
        let package = package.display().to_string();
        let pushed = self.person.get(&["push", item, version, &package]);
        assert_eq!(pushed["state"], "PUBLISHED", "{pushed}");
    }

    /// What the current version's only file is.
    fn pull(&self, item: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken.ova");
        self.person
            .get(&["pull", item, "-o", &path.display().to_string()]);
        std::fs::read(path).unwrap()
    }

    /// The label that an item offers.
    fn offers(&self, item: &str) -> Value {
        let items = self.person.get(&["catalog", "items"]);
        let found = items.as_array().unwrap().iter().find(|own| own["name"] == item);
        found.map_or(Value::Null, |item| item["version"].clone())
    }
}

fn start(port: &Port, disks: &Path, name: &str) -> Guest {
    let properties = [
        "role=node".to_owned(),
        format!("hostname={name}"),
        format!("ip={}/24", port.address),
    ];
    let mut arguments = vec!["--state".to_owned(), disks.display().to_string()];
    for property in properties {
        arguments.extend(["--prop".to_owned(), property]);
    }
    Guest::start_on(&port.plug, &arguments)
}

/// Bytes that went over the interfaces of the server and the nodes.
#[derive(Debug, Clone, Copy)]
struct Carried {
    server: u64,
    north: u64,
    south: u64,
}

/// A server and a node in each of two clouds.
struct Clouds {
    north: Node,
    south: Node,
    root: Person,
    _server: Connector,
    _state: tempfile::TempDir,
    // The last to go.
    switch: Switch,
}

impl Clouds {
    fn new(switch: Switch) -> Self {
        let state = tempfile::tempdir().unwrap();
        let server = switch.start_server(state.path());
        let root = Person::set_up(SERVER, &server.fingerprint, &server.code);
        let [north, south] =
            [("north", 2), ("south", 3)].map(|(name, number)| Node::new(&switch, name, number));
        let clouds = Self {
            north,
            south,
            root,
            _server: server,
            _state: state,
            switch,
        };
        for node in [&clouds.north, &clouds.south] {
            clouds.enrol(node);
        }
        clouds
    }

    fn enrol(&self, node: &Node) {
        let (folder, name) = (tempfile::tempdir().unwrap(), node.name);
        let code = folder.path().join("code").display().to_string();
        self.root.get(&["node", "code", "--output", &code]);
        let join = ["node", "join", SERVER, "--cloud", name, "--name", name];
        node.person.get(&[&join[..], &["--code-file", &code]].concat());
        let status = node.person.get(&["status"]);
        let fingerprint = status["enrolment"]["fingerprint"].as_str().unwrap();
        self.root.get(&["node", "approve", name, fingerprint]);
        let told = self.wait_for(&["node", "show", name], |told| {
            told["status"] == "LIVE" && told["endpoint"].is_string()
        });
        assert_eq!(told["endpoint"], format!("{}:443", node.port.address), "{told}");
    }

    /// Waits until the server tells what is wanted.
    fn wait_for(&self, arguments: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.root.get(arguments);
            if wanted(&told) {
                return told;
            }
            let consoles = [self.north.console(), self.south.console()];
            assert!(Instant::now() < end, "{told}\n{}", consoles.join("\n"));
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn carried(&self) -> Carried {
        Carried {
            server: self.switch.at_server(),
            north: self.switch.at(&self.north.port),
            south: self.switch.at(&self.south.port),
        }
    }

    /// What goes over the interfaces while something is done.
    fn counted<T>(&self, what: &str, work: impl FnOnce() -> T) -> (T, Carried) {
        let before = self.carried();
        let done = work();
        let after = self.carried();
        let carried = Carried {
            server: after.server - before.server,
            north: after.north - before.north,
            south: after.south - before.south,
        };
        eprintln!("{what}: {carried:?}");
        (done, carried)
    }

    /// Orders a transfer from the north to the south that is published, and gives it.
    fn moves(&self, item: &str, more: &[&str]) -> Value {
        let from = format!("north:{item}");
        let create = ["transfer", "create", &from, "south", "--follow"];
        let moved = self.root.get(&[&create[..], more].concat());
        assert_eq!(moved["state"], "PUBLISHED", "{moved}");
        assert!(moved["receipt"].is_object(), "{moved}");
        moved
    }
}

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

/// Bytes without any order, the same ones for the same seed.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let word = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (word ^ (word >> 32)).to_be_bytes()
    });
    words.take(DISK / 8).flatten().collect()
}

#[test]
fn what_moves_between_two_appliances_goes_past_their_server_as_what_is_new_of_it_and_through_a_power_cut() {
    let Some(switch) = Switch::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut clouds = Clouds::new(switch);
    for node in [&clouds.north, &clouds.south] {
        node.believes();
    }
    let disk = noise(1);
    comes_whole(&clouds, &package(folder.path(), "1.0", &disk));
    comes_as_what_is_new_of_it(&clouds, folder.path(), disk);
    let third = package(folder.path(), "3.0", &noise(3));
    comes_through_a_power_cut(&mut clouds, &third);
    is_moved_away(&clouds);
    is_refused(&clouds, folder.path(), &third);
    for person in [&clouds.root, &clouds.north.person, &clouds.south.person] {
        person.get(&["audit", "verify"]);
    }
}

fn comes_whole(clouds: &Clouds, package: &Path) {
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

fn comes_as_what_is_new_of_it(clouds: &Clouds, folder: &Path, mut disk: Vec<u8>) {
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
fn comes_through_a_power_cut(clouds: &mut Clouds, package: &Path) {
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
    let before = clouds.switch.at(&clouds.north.port);
    clouds.south.starts_again();
    let moved = clouds.wait_for(&show, |transfer| transfer["ended"].is_string());
    let again = clouds.switch.at(&clouds.north.port) - before;
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
fn is_moved_away(clouds: &Clouds) {
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
fn is_refused(clouds: &Clouds, folder: &Path, package: &Path) {
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
    eprintln!("{why}");
    assert_eq!(why["refusal"]["rule"], "certificate.untrusted", "{why}");
    let file = why["refusal"]["file"].as_str().unwrap();
    assert!(file.ends_with(".cert"), "{why}");
    assert_eq!(clouds.south.offers("web"), "3.0");
}
