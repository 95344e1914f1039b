//! A node and its server: how they come to know each other, and whom they refuse.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "connector/connector.rs"]
mod connector;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use appliance::clock::Clock;
use appliance::http::{Limits, Server};
use appliance::role::Role;
use connector::Connector;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that listens, and its administrator's session.
struct Listening {
    own: Connector,
    root: String,
    address: SocketAddr,
    _directory: tempfile::TempDir,
    _stop: watch::Sender<bool>,
}

impl Listening {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Certificates are judged by the system's clock.
        let own = Connector::at(
            Role::Server,
            directory.path(),
            Clock::standing(Clock::System.now()),
        )
        .await;
        let root = own.finish().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server {
            tls: own.context.tls().unwrap(),
            router: appliance::api::router(Arc::clone(&own.context)),
            connections: Arc::clone(own.context.connections()),
            limits: Limits::default(),
        };
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(server.serve(listener, stopped));
        Self {
            own,
            root,
            address,
            _directory: directory,
            _stop: stop,
        }
    }

    async fn code(&self) -> String {
        let answer = self
            .own
            .post(&self.root, "/api/v1/enrolment-codes", &json!({ "minutes": 10 }))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["code"].as_str().unwrap().to_owned()
    }

    async fn nodes(&self) -> Vec<Value> {
        let answer = self.own.get(&self.root, "/api/v1/nodes").await;
        answer.body.as_array().unwrap().clone()
    }

    async fn approve(&self, id: &str, fingerprint: &str) -> u16 {
        let path = format!("/api/v1/nodes/{id}/approve");
        let body = json!({ "fingerprint": fingerprint });
        self.own.post(&self.root, &path, &body).await.status
    }

    async fn wait_for(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let node = self
                .own
                .get(&self.root, &format!("/api/v1/nodes/{id}"))
                .await
                .body;
            if wanted(&node) {
                return node;
            }
            assert!(start.elapsed() < PATIENCE, "{node}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A node that follows its enrolment; dropped, it is killed.
struct Following {
    own: Connector,
    root: String,
    task: JoinHandle<()>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Following {
    async fn start(state: &Path) -> Self {
        let own = Connector::at(Role::Node, state, Clock::System).await;
        let root = match own.context.setup_code() {
            Some(_) => own.finish().await,
            None => own.log_in("root").await,
        };
        let task = tokio::spawn(appliance::enrolment::follow(Arc::clone(&own.context)));
        Self { own, root, task }
    }

    async fn enrol(&self, server: SocketAddr, code: &str) -> (u16, Value) {
        let body =
            json!({ "server": format!("localhost:{}", server.port()), "code": code, "cloud": "north" });
        let answer = self.own.post(&self.root, "/api/v1/enrolment", &body).await;
        (answer.status, answer.body)
    }

    async fn state(&self) -> String {
        let answer = self.own.get(&self.root, "/api/v1/enrolment").await;
        answer.body["state"].as_str().unwrap_or_default().to_owned()
    }

    async fn wait_for(&self, state: &str) {
        let start = Instant::now();
        while self.state().await != state {
            assert!(
                start.elapsed() < PATIENCE,
                "{} is not {state}",
                self.state().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Closes its database, as a process that ends does.
    async fn end(mut self) {
        self.task.abort();
        // What it holds it lets go of when it has ended.
        let _ = (&mut self.task).await;
        self.own.context.ground().unwrap().database.close().await;
    }
}

/// A server with a node that is taken in.
async fn enrolled(state: &Path) -> (Listening, Following, String) {
    let server = Listening::start().await;
    let node = Following::start(state).await;
    let (status, told) = node.enrol(server.address, &server.code().await).await;
    assert_eq!((status, &told["state"]), (202, &json!("PENDING")), "{told}");
    let id = told["node"].as_str().unwrap().to_owned();
    let listed = server.nodes().await;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["id"], &listed[0]["status"]),
        (&json!(id), &json!("UNREACHABLE"))
    );
    // What two people compare is the same on both sides, and of the node's key.
    assert_eq!(listed[0]["fingerprint"], told["fingerprint"]);
    let fingerprint = told["fingerprint"].as_str().unwrap();
    assert_eq!(
        server
            .approve(&id, &fingerprint.replace('A', "B").replace('0', "1"))
            .await,
        409
    );
    assert_eq!(server.approve(&id, &fingerprint.to_lowercase()).await, 200);
    assert_eq!(server.approve(&id, fingerprint).await, 409, "once");
    node.wait_for("ACTIVE").await;
    let first = server.wait_for(&id, |node| node["status"] == "LIVE").await;
    // With its second heartbeat the node has written down what the first agreed on.
    server.own.advance(Duration::from_secs(1));
    server.wait_for(&id, |node| node["seen"] != first["seen"]).await;
    (server, node, id)
}

#[tokio::test]
async fn a_node_is_taken_in_by_two_people_lives_grows_stale_and_is_sent_away() {
    let state = tempfile::tempdir().unwrap();
    let (server, node, id) = enrolled(state.path()).await;
    let (status, told) = node.enrol(server.address, &server.code().await).await;
    assert_eq!(
        (status, &told["code"]),
        (409, &json!("conflict")),
        "it has a server"
    );

    // After a restart it is the same node, and has to ask nobody.
    node.end().await;
    server.own.advance(Duration::from_secs(16));
    server.wait_for(&id, |node| node["status"] == "STALE").await;
    server.own.advance(Duration::from_secs(5));
    server.wait_for(&id, |node| node["status"] == "UNREACHABLE").await;
    let node = Following::start(state.path()).await;
    server.wait_for(&id, |node| node["status"] == "LIVE").await;

    let path = format!("/api/v1/nodes/{id}/revoke");
    assert_eq!(
        server.own.post(&server.root, &path, &json!({})).await.body["state"],
        "REVOKED"
    );
    node.wait_for("REVOKED").await;
    let (status, told) = node.enrol(server.address, &server.code().await).await;
    assert_eq!(
        (status, &told["state"]),
        (202, &json!("PENDING")),
        "it may come again, with another code"
    );
    assert_ne!(told["node"], json!(id));
}

#[tokio::test]
async fn codes_that_are_wrong_used_or_too_old_are_refused() {
    let (server, state) = (Listening::start().await, tempfile::tempdir().unwrap());
    let node = Following::start(state.path()).await;
    let (status, _) = node.enrol(server.address, "vcc1-nonsense").await;
    assert_eq!(status, 422);
    let old = server.code().await;
    server.own.advance(Duration::from_secs(601));
    let (status, told) = node.enrol(server.address, &old).await;
    assert_eq!((status, told["code"].as_str()), (502, Some("bad-server")));
    assert!(
        told["detail"].as_str().unwrap().contains("wrong-credentials"),
        "{told}"
    );
    let code = server.code().await;
    assert_eq!(node.enrol(server.address, &code).await.0, 202);
    let second = tempfile::tempdir().unwrap();
    let second = Following::start(second.path()).await;
    assert_eq!(
        second.enrol(server.address, &code).await.0,
        502,
        "a code is good once"
    );
    assert_eq!(server.nodes().await.len(), 1);
}

#[tokio::test]
async fn a_node_speaks_to_the_server_whose_key_its_code_names_and_to_no_other() {
    let (meant, other) = (Listening::start().await, Listening::start().await);
    let state = tempfile::tempdir().unwrap();
    let node = Following::start(state.path()).await;
    let (status, told) = node.enrol(other.address, &meant.code().await).await;
    assert_eq!(status, 502);
    assert!(
        told["detail"]
            .as_str()
            .unwrap()
            .contains("has not the key that was pinned"),
        "{told}"
    );
    assert!(other.nodes().await.is_empty() && meant.nodes().await.is_empty());
}

#[tokio::test]
async fn a_node_that_was_cloned_is_suspended_and_shown() {
    let (state, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (server, node, id) = enrolled(state.path()).await;
    node.end().await;
    for entry in std::fs::read_dir(state.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() && entry.file_name() != "lock" {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    let first = Following::start(state.path()).await;
    server.own.advance(Duration::from_secs(30));
    server.wait_for(&id, |node| node["status"] == "LIVE").await;
    let second = Following::start(copy.path()).await;
    let told = server.wait_for(&id, |node| node["state"] == "SUSPENDED").await;
    assert!(
        told["reason"].as_str().unwrap().contains("there are two of it"),
        "{told}"
    );
    second.wait_for("SUSPENDED").await;
    first.wait_for("SUSPENDED").await;
}

#[tokio::test]
async fn who_shows_no_certificate_of_a_node_is_none() {
    let server = Listening::start().await;
    let sign = json!({ "counter": 0, "advance": false, "nonce": "", "version": "1" });
    let answer = server.own.post("", "/api/v1/heartbeats", &sign).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (401, &json!("unauthenticated"))
    );
    let answer = server.own.post(&server.root, "/api/v1/heartbeats", &sign).await;
    assert_eq!(answer.status, 401, "an administrator is no node");
    let nobody = server.own.get("vcc_nobody", "/api/v1/enrolments/none").await;
    assert_eq!(nobody.status, 404);
}
