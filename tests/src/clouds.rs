//! A server and nodes, of it or alone, each a process on the loopback interface of this machine, and what moves between them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::artefacts;
use crate::connector::Connector;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(600);

/// A node, with a catalog `images`.
pub struct Node {
    pub connector: Connector,
    /// Its state directory.
    pub state: PathBuf,
    /// Its id at the server, where it has one.
    pub id: String,
    catalog: String,
}

/// A server and its nodes.
pub struct Clouds {
    pub server: Connector,
    pub nodes: Vec<Node>,
}

impl Clouds {
    /// One with a node in each of these clouds, whose states are in a folder.
    pub fn start(folder: &Path, names: &[&str]) -> Self {
        let server = Connector::start("server", &folder.join("server")).set_up(None);
        let nodes = names
            .iter()
            .map(|name| Node::enrol(&server, &folder.join(name), name));
        let nodes: Vec<_> = nodes.collect();
        let clouds = Self { server, nodes };
        for node in &clouds.nodes {
            clouds.wait_for(&format!("/api/v1/nodes/{}", node.id), |node| {
                node["status"] == "LIVE" && node["endpoint"].is_string()
            });
        }
        clouds
    }

    /// Waits until what the server tells is as wanted.
    pub fn wait_for(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.server.get(path);
            if wanted(&told) {
                return told;
            }
            assert!(Instant::now() < end, "{path}: {told}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Orders a transfer, and gives its path.
    pub fn order(&self, wish: &Value) -> String {
        let ordered = self.server.post("/api/v1/transfers", wish);
        assert_eq!(ordered.status, 202, "{ordered:?}");
        format!("/api/v1/transfers/{}", ordered.json()["id"].as_str().unwrap())
    }

    /// The same, and waits for its end.
    pub fn transfer(&self, wish: &Value) -> Value {
        self.wait_for(&self.order(wish), |transfer| transfer["ended"].is_string())
    }
}

impl Node {
    /// One that has no server.
    pub fn alone(state: &Path) -> Self {
        Self::with_catalog(Connector::start("node", state).set_up(None), state, String::new())
    }

    fn enrol(server: &Connector, state: &Path, name: &str) -> Self {
        let code = server
            .post("/api/v1/enrolment-codes", &json!({ "minutes": 60 }))
            .json();
        let enrolment = json!({
            "server": server.address.to_string(), "code": code["code"], "cloud": name, "name": name,
        });
        let connector = Connector::start("node", state).set_up(Some(enrolment));
        let own = connector.get("/api/v1/enrolment");
        let id = own["node"].as_str().unwrap().to_owned();
        let approval = json!({ "fingerprint": own["fingerprint"] });
        let approved = server.post(&format!("/api/v1/nodes/{id}/approve"), &approval);
        assert_eq!(approved.status, 200, "{approved:?}");
        Self::with_catalog(connector, state, id)
    }

    fn with_catalog(connector: Connector, state: &Path, id: String) -> Self {
        let made = connector.post("/api/v1/catalogs", &json!({ "name": "images" }));
        assert_eq!(made.status, 201, "{made:?}");
        Self {
            catalog: made.json()["id"].as_str().unwrap().to_owned(),
            connector,
            state: state.to_owned(),
            id,
        }
    }

    /// curl, with a path of this node.
    pub fn curl(&self, path: &str) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--cacert"])
            .arg(self.state.join("identity/cert.pem"))
            .arg("--header")
            .arg(format!("Authorization: Bearer {}", self.connector.token))
            .arg(format!("{}{path}", self.connector.origin()));
        curl
    }

    /// Believes a certificate (PEM).
    pub fn trust(&self, certificate: &str) {
        let wish = json!({ "name": "publisher", "certificate": certificate });
        let made = self.connector.post("/api/v1/trust-roots", &wish);
        assert_eq!(made.status, 201, "{made:?}");
    }

    /// Announces a version of these files, and gives its path.
    pub fn announce(&self, item: &str, kind: &str, version: &str, files: &Value) -> String {
        let wish = json!({ "item": item, "kind": kind, "version": version, "files": files });
        let path = format!("/api/v1/catalogs/{}/versions", self.catalog);
        let announced = self.connector.post(&path, &wish);
        assert_eq!(announced.status, 201, "{announced:?}");
        format!("/api/v1/versions/{}", announced.json()["id"].as_str().unwrap())
    }

    /// Brings files as a version, and gives what became of it.
    pub fn bring(&self, item: &str, kind: &str, version: &str, files: &[&Path]) -> Value {
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let announced: Vec<_> = files
            .iter()
            .map(|path| json!({ "name": name(path), "bytes": path.metadata().unwrap().len() }))
            .collect();
        let path = self.announce(item, kind, version, &announced.into());
        for file in files {
            let target = format!("{path}/files/{}", name(file));
            artefacts::success(self.curl(&target).arg("--upload-file").arg(file));
        }
        self.judged(&path)
    }

    /// What became of a version whose files are there.
    pub fn judged(&self, path: &str) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let version = self.connector.get(path);
            if !["RECEIVING", "VERIFYING"].contains(&version["state"].as_str().unwrap()) {
                return version;
            }
            assert!(Instant::now() < end, "{version}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until as many chunk indexes are kept.
    pub fn wait_for_indexes(&self, wanted: usize) {
        let end = Instant::now() + PATIENCE;
        let count = || {
            let folder = self.state.join("indexes/provider");
            std::fs::read_dir(folder).map_or(0, Iterator::count)
        };
        while count() < wanted {
            assert!(Instant::now() < end, "{} of {wanted} indexes", count());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
