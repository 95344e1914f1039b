//! One of the connectors of `vcc up`, and its API, asked in this process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::ADMINISTRATOR;
use super::folder::Folder;
use crate::access::Right;
use crate::error::{Error, Kind, Result};
use crate::identity::Identity;
use crate::local::{Local, Question};
use crate::role::Role;
use crate::service::{Listen, Options, Running};

/// Of a token: it is made anew at the start after its end.
const DAYS: u16 = 366;

/// A connector that runs.
pub(super) struct Member {
    name: &'static str,
    running: Running,
    api: Local,
    token: Mutex<String>,
    kept: Folder,
}

impl Member {
    pub(super) async fn start(
        folder: &Folder,
        name: &'static str,
        role: Role,
        at: SocketAddr,
    ) -> Result<Self> {
        let options = Options {
            role,
            state: folder.path().join(name),
            listen: Listen::from(at),
            machine: None,
            log: None,
            heartbeat: None,
            fault: None,
        };
        let running = Running::start(&options).await?;
        Ok(Self {
            name,
            api: Local::new(crate::api::router(running.context().clone())),
            running,
            token: Mutex::default(),
            kept: Folder::open(folder.path())?,
        })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub(super) fn identity(&self) -> &Identity {
        self.running.context().identity()
    }

    pub(super) fn token_file(&self) -> PathBuf {
        self.kept.token_file(self.name)
    }

    pub(super) async fn stop(self) {
        self.running.stop().await;
    }

    /// Makes the administrator, where there is none, and a token, where the last is good no more.
    pub(super) async fn take_charge(&self, password: &str) -> Result<()> {
        if let Some(code) = self.running.context().setup_code() {
            let administrator = json!({ "name": ADMINISTRATOR, "password": password });
            let wish = json!({ "code": code, "administrator": administrator });
            self.ask(Method::POST, "/api/v1/setup", &wish).await?;
        }
        if let Some(known) = self.kept.token(self.name)? {
            self.show(known);
            if self.answer(Method::GET, "/api/v1/session", None).await?.0 == StatusCode::OK {
                return Ok(());
            }
        }
        self.show(String::new());
        let login = json!({ "name": ADMINISTRATOR, "password": password });
        let session = self.ask(Method::POST, "/api/v1/session", &login).await?;
        self.show(session["token"].as_str().unwrap_or_default().to_owned());
        let wish = json!({ "name": "vcc-up", "scope": Right::ALL, "days": DAYS });
        let made = self.ask(Method::POST, "/api/v1/tokens", &wish).await?;
        let secret = made["secret"].as_str().unwrap_or_default();
        self.kept.keep_token(self.name, secret)?;
        self.answer(Method::DELETE, "/api/v1/session", None).await?;
        self.show(secret.to_owned());
        Ok(())
    }

    fn show(&self, token: String) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// What there is at a path, if anything.
    pub(super) async fn find(&self, path: &str) -> Result<Option<Value>> {
        match self.answer(Method::GET, path, None).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, body) => self.good(path, status, body).map(Some),
        }
    }

    /// Asks for something that has to be done.
    pub(super) async fn ask(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        let (status, body) = self.answer(method, path, Some(body)).await?;
        self.good(path, status, body)
    }

    fn good(&self, path: &str, status: StatusCode, body: Value) -> Result<Value> {
        if status.is_success() {
            return Ok(body);
        }
        let reason = format!(
            "refuses {path}: {} {}",
            body["code"].as_str().unwrap_or(status.as_str()),
            body["detail"].as_str().unwrap_or_default()
        );
        Err(Error::new(Kind::Refused, self.name, reason.trim_end()))
    }

    async fn answer(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let question = Question {
            method,
            path,
            token: &token,
            body,
            ..Question::default()
        };
        let answer = self.api.ask(question).await?;
        Ok((answer.status, answer.body))
    }
}
