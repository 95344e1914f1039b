//! A full disk and a cut cable: what was answered stays, what can't be done is said, and it goes on when the fault has gone.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::connector::{Connector, set_up};
use e2e::namespace::Namespace;
use e2e::person::Person;
use e2e::{artefacts, counterpart, web};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn on_a_full_disk_changes_are_refused_whole_and_nothing_that_was_answered_is_lost() {
    let Some(mut unshare) = counterpart::find("unshare") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (state, port) = (folder.path().display().to_string(), web::free_port());
    let script =
        "mount -t tmpfs -o size=6m none \"$1\" && exec \"$0\" server --state \"$1/state\" --listen \"$2\"";
    unshare
        .args(["--mount", "sh", "-c", script])
        .arg(artefacts::vcc())
        .args([&state, &format!("127.0.0.1:{port}")]);
    let service = Connector::of(unshare);
    let inside = |script: &str| {
        let process = service.process.id().to_string();
        let mut enter = counterpart::find("nsenter").unwrap();
        artefacts::success(enter.args(["--mount", "--target", &process, "sh", "-c", script, &state]))
    };
    let origin = format!("https://127.0.0.1:{port}");
    let token = set_up(&origin, &service.code, None);
    let token = token.as_str();
    let add = |name: &str| web::post(&origin, "/api/v1/tenants", token, &json!({ "name": name })).unwrap();
    assert_eq!(add("before").status, 201);

    inside("head -c 100M /dev/zero > \"$0/filler\" 2>/dev/null; true");
    let mut made = vec!["before".to_owned()];
    let refused = (0..400).find_map(|number| {
        let name = format!("tenant-{number}");
        let answer = add(&name);
        if answer.status != 201 {
            return Some(answer);
        }
        made.push(name);
        None
    });
    let refused = refused.expect("the disk was never full");
    assert_eq!(
        (refused.status, refused.json()["code"].as_str()),
        (507, Some("state-full")),
        "{refused:?}"
    );
    let ready = web::get(&origin, "/readyz").unwrap();
    assert_eq!(
        (ready.status, &ready.check("state-disk")["status"]),
        (503, &json!("fail"))
    );
    let listed = |origin: &str| {
        let tenants = web::ask(origin, "/api/v1/tenants?limit=500", token, "GET", &[], None).unwrap();
        assert_eq!(tenants.status, 200, "{tenants:?}");
        let mut names: Vec<_> = tenants
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    };
    made.sort();
    assert_eq!(listed(&origin), made, "what is there can be read");

    inside("rm \"$0/filler\"");
    assert_eq!(add("after").status, 201);
    made.push("after".to_owned());
    made.sort();
    assert_eq!(listed(&origin), made);
    assert_eq!(web::get(&origin, "/readyz").unwrap().status, 200);
}

/// Two network namespaces with a cable between them.
struct Cable {
    ends: [Namespace; 2],
}

const SERVER: &str = "10.77.0.1";
const NODE: &str = "10.77.0.2";

impl Cable {
    fn new() -> Option<Self> {
        let ends = [Namespace::new("a")?, Namespace::new("b")?];
        let other = ends[1].name();
        ends[0].ip(&format!("link add cable type veth peer name cable netns {other}"));
        for (end, address) in ends.iter().zip([SERVER, NODE]) {
            end.ip(&format!("address add {address}/24 dev cable"));
            end.ip("link set cable up");
        }
        Some(Self { ends })
    }

    fn set(&self, state: &str) {
        self.ends[0].ip(&format!("link set cable {state}"));
    }

    /// A command in the namespace of the server or the node.
    fn command(&self, end: usize) -> Command {
        self.ends[end].command(&artefacts::vcc())
    }

    /// The first administrator of a connector at an end.
    fn set_up(&self, end: usize, connector: &Connector, address: &str) -> Person {
        let place = format!("{address}:8443");
        Person::set_up_in(&self.ends[end], &place, &connector.fingerprint, &connector.code)
    }
}

fn wait_for(server: &Person, status: &str) {
    let start = Instant::now();
    loop {
        let node = server.get(&["node", "show", "node-a"]);
        if node["status"] == status {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "it is not {status}: {node}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

#[test]
fn a_node_behind_a_cut_cable_is_shown_as_such_says_why_and_comes_back() {
    let Some(cable) = Cable::new() else { return };
    let (server_state, node_state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = |end: usize, role: &str, address: &str, state: &Path| {
        let mut command = cable.command(end);
        command
            .args([role, "--listen", &format!("{address}:8443"), "--state"])
            .arg(state);
        Connector::of(command)
    };
    let server = run(0, "server", SERVER, server_state.path());
    let node = run(1, "node", NODE, node_state.path());
    let at_server = cable.set_up(0, &server, SERVER);
    let at_node = cable.set_up(1, &node, NODE);
    let folder = tempfile::tempdir().unwrap();
    let code = folder.path().join("enrolment").display().to_string();
    at_server.get(&["node", "code", "--output", &code]);
    let server_at = format!("{SERVER}:8443");
    at_node.get(&[
        "node",
        "join",
        &server_at,
        "--cloud",
        "east",
        "--name",
        "node-a",
        "--code-file",
        &code,
    ]);
    let own = at_node.get(&["status"]);
    at_server.get(&[
        "node",
        "approve",
        "node-a",
        own["enrolment"]["fingerprint"].as_str().unwrap(),
    ]);
    wait_for(&at_server, "LIVE");

    cable.set("down");
    wait_for(&at_server, "UNREACHABLE");
    at_server.get(&["config", "set", "all", "notice=while you were away"]);
    let start = Instant::now();
    while !at_node.get(&["status"])["enrolment"]["trouble"].is_string() {
        assert!(start.elapsed() < PATIENCE, "the node sees no trouble");
        std::thread::sleep(Duration::from_millis(300));
    }
    cable.set("up");
    wait_for(&at_server, "LIVE");
    let start = Instant::now();
    while at_server.get(&["config", "status", "node-a"])["state"] != "IN_SYNC" {
        assert!(start.elapsed() < PATIENCE, "it does not come up to date");
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(at_node.get(&["status"])["enrolment"]["trouble"].is_null());
}
