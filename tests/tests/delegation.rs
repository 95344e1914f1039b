//! Two appliances as nodes of a server: enrolled, configured, cut off, restarted, back again.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::path::Path;
use std::time::{Duration, Instant};

use e2e::connector::{Connector, set_up};
use e2e::guest::{Guest, kept_disks};
use e2e::rsyslog::Rsyslog;
use e2e::web;
use serde_json::{Value, json};

/// Emulated machines on shared cores.
const PATIENCE: Duration = Duration::from_secs(300);
/// This machine, as a guest reaches it.
const HOST: &str = "10.0.2.2";

/// A server on the loopback interface of this machine.
struct Server(Connector);

impl Server {
    fn wait_for(&self, path: &str, guest: Option<&Guest>, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let told = self.0.get(path);
            if wanted(&told) {
                return told;
            }
            let console = guest.map(Guest::console).unwrap_or_default();
            assert!(Instant::now() < end, "{path}: {told}\n{console}");
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn want(&self, version: u32, notice: &str) {
        self.want_all(version, &json!({ "notice": notice }));
    }

    fn want_all(&self, version: u32, settings: &Value) {
        let body = json!({ "settings": settings });
        let tag = format!("If-Match: \"{version}\"");
        let answer = self
            .0
            .ask("PUT", "/api/v1/configurations/all", &[&tag], Some(&body));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Takes an appliance in that was just started; gives the node's id.
    fn enrol(&self, guest: &Guest, cloud: &str) -> String {
        let code = guest.setup_code();
        let made = self
            .0
            .post("/api/v1/enrolment-codes", &json!({ "minutes": 60 }))
            .json();
        let enrolment = json!({
            "server": format!("{HOST}:{}", self.0.address.port()), "code": made["code"], "cloud": cloud, "name": cloud,
        });
        let token = set_up(&guest.origin(), &code, Some(enrolment));
        let own = web::ask(&guest.origin(), "/api/v1/enrolment", &token, "GET", &[], None).unwrap();
        let own = own.json();
        let id = own["node"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/nodes/{id}");
        assert_eq!(self.0.get(&path)["fingerprint"], own["fingerprint"]);
        let approval = json!({ "fingerprint": own["fingerprint"] });
        assert_eq!(self.0.post(&format!("{path}/approve"), &approval).status, 200);
        self.wait_for(&path, Some(guest), |node| node["status"] == "LIVE");
        id
    }

    fn is(&self, guest: &Guest, id: &str, status: &str) {
        self.wait_for(&format!("/api/v1/nodes/{id}"), Some(guest), |node| {
            node["status"] == status
        });
    }

    fn is_in_sync(&self, guest: &Guest, id: &str) {
        let path = format!("/api/v1/nodes/{id}/configuration");
        self.wait_for(&path, Some(guest), |told| told["state"] == "IN_SYNC");
    }

    fn diagnose(&self, guest: &Guest, id: &str) -> Value {
        let task = self.0.post(
            &format!("/api/v1/nodes/{id}/tasks"),
            &json!({ "kind": "diagnose" }),
        );
        assert_eq!(task.status, 202, "{task:?}");
        let path = format!("/api/v1/tasks/{}", task.json()["id"].as_str().unwrap());
        let ended = self.wait_for(&path, Some(guest), |task| task["ended"].is_string());
        assert_eq!(ended["state"], "DONE", "{ended}");
        ended["result"].clone()
    }
}

/// What the nodes print comes to a collector that the server names, that of a start before it was connected, too.
fn forward_the_logs(server: &Server, nodes: [(&Guest, &String); 2]) {
    let Some(collector) = Rsyslog::start() else {
        return;
    };
    for (version, transport) in [(3, "tcp"), (4, "udp")] {
        let syslog = format!("{transport}://{HOST}:{}", collector.port);
        let notice = format!("forwarded by {transport}");
        server.want_all(version, &json!({ "notice": notice, "syslog": syslog }));
        for (guest, id) in nodes {
            server.is_in_sync(guest, id);
            let about = guest.get("/api/v1/about").json();
            let hostname = about["hostname"].as_str().unwrap();
            collector.wait_for(&[hostname, "vcc", "info", &syslog], PATIENCE);
        }
    }
}

/// Another key takes the place of the authority's: all nodes go along, also through a restart.
fn replace_the_key(server: &Server, guest: &Guest, id: &str) {
    const AUTHORITY: &str = "/api/v1/authority";
    let begun = server.0.post("/api/v1/authority/rotate", &json!({}));
    assert_eq!(begun.status, 202, "{begun:?}");
    let next = begun.json()["next"].clone();
    server.wait_for(AUTHORITY, Some(guest), |now| {
        now["key"] == next && now.get("former").is_none()
    });
    let path = format!("/api/v1/nodes/{id}");
    let seen = server.0.get(&path)["seen"].clone();
    guest.reset();
    server.wait_for(&path, Some(guest), |node| {
        node["status"] == "LIVE" && node["seen"].as_str() > seen.as_str()
    });
    assert!(server.diagnose(guest, id)["version"].is_string());
}

fn link(guest: &Guest, up: bool) {
    let wish = json!({ "name": "net0", "up": up });
    guest.monitor().execute("set_link", &wish).unwrap();
}

#[test]
fn two_appliances_are_enrolled_configured_cut_off_restarted_and_come_back() {
    let state = tempfile::tempdir().unwrap();
    let server = Server(Connector::start("server", state.path()).set_up(None));
    let ((_first, first_disks), (_second, second_disks)) = (kept_disks(), kept_disks());
    let start = |disks: &Path| Guest::start(&["--state", disks.to_str().unwrap()]);
    let (north, south) = (start(&first_disks), start(&second_disks));
    let north_id = server.enrol(&north, "north");
    let south_id = server.enrol(&south, "south");

    server.want(0, "from the server");
    for (guest, id) in [(&north, &north_id), (&south, &south_id)] {
        server.is_in_sync(guest, id);
        guest.wait_console("Notice      from the server", 1);
        assert!(server.diagnose(guest, id)["version"].is_string());
    }

    // Cut off, it misses two changes, and comes up to date when the cut has gone.
    link(&north, false);
    server.is(&north, &north_id, "UNREACHABLE");
    assert_eq!(
        server.0.get(&format!("/api/v1/nodes/{south_id}"))["status"],
        "LIVE"
    );
    server.want(1, "missed");
    server.want(2, "after the cut");
    server.is_in_sync(&south, &south_id);
    let told = server.0.get(&format!("/api/v1/nodes/{north_id}/configuration"));
    assert_eq!(told["state"], "PENDING", "{told}");
    link(&north, true);
    server.is(&north, &north_id, "LIVE");
    server.is_in_sync(&north, &north_id);
    north.wait_console("Notice      after the cut", 1);
    assert!(
        !north.console().contains("Notice      missed"),
        "{}",
        north.console()
    );

    // A reset and a power cut change nothing about who it is.
    let seen = server.0.get(&format!("/api/v1/nodes/{south_id}"))["seen"].clone();
    south.reset();
    south.wait_console("boots=2", 1);
    south.wait_console("Notice      after the cut", 2);
    let path = format!("/api/v1/nodes/{south_id}");
    server.wait_for(&path, Some(&south), |node| {
        node["status"] == "LIVE" && node["seen"].as_str() > seen.as_str()
    });
    // Its first sign of life after the start was taken, and no other's was.
    assert!(server.diagnose(&south, &south_id)["version"].is_string());
    north.pull_the_plug();
    server.is(&south, &north_id, "UNREACHABLE");
    let north = start(&first_disks);
    server.is(&north, &north_id, "LIVE");
    server.is_in_sync(&north, &north_id);
    assert!(server.diagnose(&north, &north_id)["version"].is_string());

    forward_the_logs(&server, [(&north, &north_id), (&south, &south_id)]);
    replace_the_key(&server, &south, &south_id);

    // Sent away, it is told, and shows it.
    assert_eq!(
        server
            .0
            .post(&format!("/api/v1/nodes/{north_id}/revoke"), &json!({}))
            .status,
        200
    );
    north.wait_console("the server no longer takes this node: REVOKED", 1);
}
