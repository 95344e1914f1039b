//! A server that listens, and nodes that follow it, in this process.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use appliance::clock::{Clock, Moment};
use appliance::http::{Limits, Server};
use appliance::role::Role;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::connector::Connector;

/// The longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that listens, and its administrator's session.
pub(crate) struct Listening {
    pub(crate) own: Connector,
    pub(crate) root: String,
    pub(crate) address: SocketAddr,
    _directory: Option<tempfile::TempDir>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    rotating: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.rotating.abort();
    }
}

impl Listening {
    pub(crate) async fn start() -> Self {
        // Certificates are judged by the system's clock.
        Self::start_at(Clock::System.now()).await
    }

    /// One whose clock stands.
    pub(crate) async fn start_at(now: Moment) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut own = Self::start_in(directory.path(), now, "127.0.0.1:0").await;
        own._directory = Some(directory);
        own
    }

    /// One with its state in a directory.
    pub(crate) async fn start_in(state: &Path, now: Moment, listen: &str) -> Self {
        let own = Connector::at(Role::Server, state, Clock::standing(now)).await;
        let root = match own.context.setup_code() {
            Some(_) => own.finish().await,
            None => own.log_in("root").await,
        };
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server {
            tls: own.context.tls().unwrap(),
            router: appliance::api::router(Arc::clone(&own.context)),
            uploads: appliance::api::takes_file,
            connections: Arc::clone(own.context.connections()),
            limits: Limits::default(),
        };
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(server.serve(listener, stopped));
        let rotating = tokio::spawn(appliance::service::rotate(Arc::clone(&own.context)));
        Self {
            own,
            root,
            address,
            _directory: None,
            stop,
            serving,
            rotating,
        }
    }

    /// Stops as a service does.
    pub(crate) async fn end(mut self) {
        let _ = self.stop.send(true);
        self.rotating.abort();
        let _ = (&mut self.rotating).await;
        let ground = self.own.context.ground().unwrap();
        ground.nudges.wake_all();
        let _ = (&mut self.serving).await;
        ground.database.close().await;
    }

    pub(crate) async fn audited(&self, action: &str, object: &str) -> bool {
        let audit = self.own.get(&self.root, "/api/v1/audit").await.body;
        let wanted = |entry: &Value| entry["action"] == action && entry["object"] == object;
        audit.as_array().unwrap().iter().any(wanted)
    }

    pub(crate) async fn code(&self) -> String {
        let answer = self
            .own
            .post(&self.root, "/api/v1/enrolment-codes", &json!({ "minutes": 10 }))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["code"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn nodes(&self) -> Vec<Value> {
        let answer = self.own.get(&self.root, "/api/v1/nodes").await;
        answer.body.as_array().unwrap().clone()
    }

    pub(crate) async fn approve(&self, id: &str, fingerprint: &str) -> u16 {
        let path = format!("/api/v1/nodes/{id}/approve");
        let body = json!({ "fingerprint": fingerprint });
        self.own.post(&self.root, &path, &body).await.status
    }

    pub(crate) async fn wait_for(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
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

    pub(crate) async fn wait_for_configuration(&self, id: &str, state: &str) -> Value {
        let (start, path) = (Instant::now(), format!("/api/v1/nodes/{id}/configuration"));
        loop {
            let told = self.own.get(&self.root, &path).await.body;
            if told["state"] == state {
                return told;
            }
            assert!(start.elapsed() < PATIENCE, "{told}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A node that follows its enrolment; dropped, it is killed.
pub(crate) struct Following {
    pub(crate) own: Connector,
    pub(crate) root: String,
    pub(crate) task: JoinHandle<()>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Following {
    pub(crate) async fn start(state: &Path) -> Self {
        Self::start_at(state, Clock::System).await
    }

    pub(crate) async fn start_at(state: &Path, clock: Clock) -> Self {
        let own = Connector::at(Role::Node, state, clock).await;
        let root = match own.context.setup_code() {
            Some(_) => own.finish().await,
            None => own.log_in("root").await,
        };
        let task = tokio::spawn(appliance::enrolment::follow(Arc::clone(&own.context)));
        Self { own, root, task }
    }

    pub(crate) async fn enrol(&self, server: SocketAddr, code: &str) -> (u16, Value) {
        let body =
            json!({ "server": format!("localhost:{}", server.port()), "code": code, "cloud": "north" });
        let answer = self.own.post(&self.root, "/api/v1/enrolment", &body).await;
        (answer.status, answer.body)
    }

    pub(crate) async fn state(&self) -> String {
        let answer = self.own.get(&self.root, "/api/v1/enrolment").await;
        answer.body["state"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn wait_for(&self, state: &str) {
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

    pub(crate) async fn configuration(&self) -> Value {
        self.own.get(&self.root, "/api/v1/configuration").await.body
    }

    pub(crate) async fn notice(&self) -> String {
        let about = self.own.get("", "/api/v1/about").await.body;
        about["notice"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) async fn wait_for_notice(&self, wanted: &str) {
        let start = Instant::now();
        while self.notice().await != wanted {
            let notice = self.notice().await;
            assert!(start.elapsed() < PATIENCE, "'{notice}' is not '{wanted}'");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Closes its database, as a process that ends does.
    pub(crate) async fn end(mut self) {
        self.task.abort();
        // What it holds it lets go of when it has ended.
        let _ = (&mut self.task).await;
        self.own.context.ground().unwrap().database.close().await;
    }
}

/// A server with a node that is taken in.
pub(crate) async fn enrolled(state: &Path) -> (Listening, Following, String) {
    let server = Listening::start().await;
    let (node, id) = enrol(&server, state).await;
    (server, node, id)
}

/// Another node that is taken in.
pub(crate) async fn enrol(server: &Listening, state: &Path) -> (Following, String) {
    enrol_on(server, state, Clock::System).await
}

/// One that goes by a clock.
pub(crate) async fn enrol_on(server: &Listening, state: &Path, clock: Clock) -> (Following, String) {
    let node = Following::start_at(state, clock).await;
    let (status, told) = node.enrol(server.address, &server.code().await).await;
    assert_eq!((status, &told["state"]), (202, &json!("PENDING")), "{told}");
    let id = told["node"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/nodes/{id}");
    let listed = server.own.get(&server.root, &path).await.body;
    assert_eq!(listed["status"], "UNREACHABLE");
    // What two people compare is the same on both sides, and of the node's key.
    assert_eq!(listed["fingerprint"], told["fingerprint"]);
    let fingerprint = told["fingerprint"].as_str().unwrap();
    let (first, rest) = fingerprint.split_at(1);
    let other = format!("{}{rest}", if first == "A" { "B" } else { "A" });
    assert_eq!(server.approve(&id, &other).await, 409);
    assert_eq!(server.approve(&id, &fingerprint.to_lowercase()).await, 200);
    assert_eq!(server.approve(&id, fingerprint).await, 409, "once");
    node.wait_for("ACTIVE").await;
    let first = server.wait_for(&id, |node| node["status"] == "LIVE").await;
    // With its second heartbeat the node has written down what the first agreed on.
    server.own.advance(Duration::from_secs(1));
    server.wait_for(&id, |node| node["seen"] != first["seen"]).await;
    (node, id)
}
