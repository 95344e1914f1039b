//! A server and two appliances, each in a cloud of its own, on a switch that counts what goes to and from each of them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::artefacts;
use crate::connector::Connector;
use crate::guest::{Guest, kept_disks};
use crate::person::Person;
use crate::switch::{Port, SERVER, Switch};

/// Emulated machines on shared cores.
const PATIENCE: Duration = Duration::from_secs(300);

/// A cloud's appliance, and its administrator.
pub struct Appliance {
    name: &'static str,
    port: Port,
    disks: (tempfile::TempDir, PathBuf),
    guest: Option<Guest>,
    pub person: Person,
}

impl Appliance {
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

    pub fn loses_power(&mut self) {
        self.guest.take().unwrap().pull_the_plug();
    }

    pub fn starts_again(&mut self) {
        self.guest = Some(start(&self.port, &self.disks.1, self.name));
    }

    fn console(&self) -> String {
        self.guest.as_ref().map(Guest::console).unwrap_or_default()
    }

    /// Believes who signed the packages.
    pub fn believes(&self) {
        let certificate = artefacts::key("ca.pem").display().to_string();
        self.person
            .get(&["trust", "add", &certificate, "--name", "publisher"]);
    }

    pub fn push(&self, item: &str, version: &str, package: &Path) {
        let package = package.display().to_string();
        let pushed = self.person.get(&["push", item, version, &package]);
        assert_eq!(pushed["state"], "PUBLISHED", "{pushed}");
    }

    /// What the current version's only file is.
    pub fn pull(&self, item: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken.ova");
        self.person
            .get(&["pull", item, "-o", &path.display().to_string()]);
        std::fs::read(path).unwrap()
    }

    /// The label that an item offers.
    pub fn offers(&self, item: &str) -> Value {
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
pub struct Carried {
    pub server: u64,
    pub north: u64,
    pub south: u64,
}

/// A server and a node in each of two clouds.
pub struct Appliances {
    pub north: Appliance,
    pub south: Appliance,
    /// The server's administrator.
    pub root: Person,
    _server: Connector,
    _state: tempfile::TempDir,
    // The last to go.
    switch: Switch,
}

impl Appliances {
    pub fn new(switch: Switch) -> Self {
        let state = tempfile::tempdir().unwrap();
        let server = switch.start_server(state.path());
        let root = Person::set_up(SERVER, &server.fingerprint, &server.code);
        let [north, south] =
            [("north", 2), ("south", 3)].map(|(name, number)| Appliance::new(&switch, name, number));
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

    fn enrol(&self, node: &Appliance) {
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
    pub fn wait_for(&self, arguments: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
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

    pub fn carried(&self) -> Carried {
        Carried {
            server: self.switch.at_server(),
            north: self.switch.at(&self.north.port),
            south: self.switch.at(&self.south.port),
        }
    }

    /// What goes over the interfaces while something is done.
    pub fn counted<T>(&self, what: &str, work: impl FnOnce() -> T) -> (T, Carried) {
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
    pub fn moves(&self, item: &str, more: &[&str]) -> Value {
        let from = format!("north:{item}");
        let create = ["transfer", "create", &from, "south", "--follow"];
        let moved = self.root.get(&[&create[..], more].concat());
        assert_eq!(moved["state"], "PUBLISHED", "{moved}");
        assert!(moved["receipt"].is_object(), "{moved}");
        moved
    }
}
