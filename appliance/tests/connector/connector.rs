//! A connector whose requests are answered in this process.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use appliance::clock::{Clock, Moment};
use appliance::http::peer::Peer;
use appliance::role::Role;
use appliance::service::Context;
use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper::{HeaderMap, Request};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

pub(crate) struct Connector {
    pub(crate) context: Arc<Context>,
    router: TowerToHyperService<Router>,
    directory: Option<tempfile::TempDir>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Value,
    pub(crate) bytes: Vec<u8>,
}

/// A stream of events that is read.
pub(crate) struct Events {
    body: Body,
    text: String,
}

impl Events {
    /// The data of the next event; nothing where the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim().to_owned())
                };
                let event = field("event:").zip(field("data:"));
                self.text = rest.to_owned();
                if let Some((kind, data)) = event {
                    return Some((kind, serde_json::from_str(&data).unwrap()));
                }
            }
            let frame = self.body.frame().await?.unwrap();
            let bytes = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// The next of a kind.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        let wait = async {
            loop {
                let (told, data) = self.next().await.unwrap();
                if told == kind {
                    return data;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap()
    }

    /// Whether it ends, within a minute.
    pub(crate) async fn has_ended(&mut self) -> bool {
        let wait = async { while self.next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(60), wait).await.is_ok()
    }

    /// Whether nothing comes of what has been told already.
    pub(crate) async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(500), self.next())
            .await
            .is_err()
    }
}

pub(crate) const PASSWORD: &str = "correct horse battery";

impl Connector {
    /// A new server, whose clock stands.
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut own = Self::at(
            Role::Server,
            directory.path(),
            Clock::standing(Moment(1_764_000_000_000)),
        )
        .await;
        own.directory = Some(directory);
        own
    }

    /// One with its state in a directory.
    pub(crate) async fn at(role: Role, state: &Path, clock: Clock) -> Self {
        Self::on_machine(role, state, None, clock).await
    }

    /// One in an appliance, whose PID 1 reports.
    pub(crate) async fn on_machine(role: Role, state: &Path, report: Option<PathBuf>, clock: Clock) -> Self {
        let context = Context::open(role, state, report).unwrap().with_ground().await;
        let context = Arc::new(context.on_clock(clock));
        Self {
            router: TowerToHyperService::new(appliance::api::router(Arc::clone(&context))),
            context,
            directory: None,
        }
    }

    /// Makes the administrator `root`, and gives its session.
    pub(crate) async fn finish(&self) -> String {
        let code = self.context.setup_code().unwrap();
        let body = json!({ "code": code, "administrator": { "name": "root", "password": PASSWORD } });
        assert_eq!(self.post("", "/api/v1/setup", &body).await.status, 201);
        self.log_in("root").await
    }

    /// One with the administrator `root`, and its session.
    pub(crate) async fn set_up() -> (Self, String) {
        let own = Self::new().await;
        let session = own.finish().await;
        (own, session)
    }

    pub(crate) async fn log_in(&self, name: &str) -> String {
        let answer = self
            .post(
                "",
                "/api/v1/session",
                &json!({ "name": name, "password": PASSWORD }),
            )
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn ask(
        &self,
        token: &str,
        method: &str,
        path: &str,
        field: (&str, &str),
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !field.0.is_empty() {
            request = request.header(field.0, field.1);
        }
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        let answer = self.router.call(request.unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status.as_u16(),
            fields: head.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes: bytes.to_vec(),
        }
    }

    /// What happens from now on, or after an event.
    pub(crate) async fn events(&self, token: &str, after: Option<u64>) -> Events {
        let mut request = Request::builder()
            .uri("/api/v1/events")
            .header("authorization", format!("Bearer {token}"));
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        let answer = self.router.call(request.body(Body::empty()).unwrap()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Events {
            body: answer.into_body(),
            text: String::new(),
        }
    }

    /// What a node asks that shows its certificate.
    pub(crate) async fn ask_as(&self, node: Peer, method: &str, path: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .extension(node)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()));
        let answer = self.router.call(request.unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status.as_u16(),
            fields: head.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            bytes: bytes.to_vec(),
        }
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, "GET", path, ("", ""), None).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.ask(token, "POST", path, ("", ""), Some(body)).await
    }

    pub(crate) async fn matching(
        &self,
        token: &str,
        method: &str,
        path: &str,
        tag: &str,
        body: Option<&Value>,
    ) -> Answer {
        self.ask(token, method, path, ("if-match", tag), body).await
    }

    /// A tenant, and its administrator's session.
    pub(crate) async fn tenant(&self, root: &str, name: &str) -> (String, String) {
        let tenant = self.post(root, "/api/v1/tenants", &json!({ "name": name })).await;
        let id = tenant.body["id"].as_str().unwrap().to_owned();
        let user = json!({ "name": format!("{name}-admin"), "role": "tenant-admin", "tenant": id, "password": PASSWORD });
        assert_eq!(self.post(root, "/api/v1/users", &user).await.status, 201);
        let session = self.log_in(&format!("{name}/{name}-admin")).await;
        (id, session)
    }

    pub(crate) fn set_clock(&self, at: Moment) {
        self.context.ground().unwrap().clock.set(at);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.context.ground().unwrap().clock.advance(by);
    }
}
