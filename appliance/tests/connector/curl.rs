//! curl, as whoever has no command line of ours.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::people::{PASSWORD, Service};

/// Somebody who is logged in and has curl.
pub(crate) struct Curl {
    origin: String,
    folder: tempfile::TempDir,
    ca: PathBuf,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let value = lines.rfind(|(field, _)| field.eq_ignore_ascii_case(name));
        value.map_or("", |(_, value)| value.trim())
    }
}

impl Curl {
    /// Somebody who shows whatever curl's configuration says.
    pub(crate) fn showing(service: &Service, auth: &str) -> Self {
        let curl = Self {
            origin: format!("https://{}", service.address),
            folder: tempfile::tempdir().unwrap(),
            ca: service.state.path().join("identity/cert.pem"),
        };
        std::fs::write(curl.folder.path().join("auth"), auth).unwrap();
        curl
    }

    /// Logs in.
    pub(crate) fn log_in(service: &Service, name: &str) -> Self {
        let curl = Self::showing(service, "");
        let session = curl.post("/api/v1/session", &json!({ "name": name, "password": PASSWORD }));
        assert_eq!(session.status, 201, "{}", session.json());
        let token = session.json()["token"].as_str().unwrap().to_owned();
        let auth = format!("header = \"Authorization: Bearer {token}\"\n");
        std::fs::write(curl.folder.path().join("auth"), auth).unwrap();
        curl
    }

    /// A command that asks for a path.
    pub(crate) fn command(&self, path: &str) -> Command {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--noproxy", "*", "--cacert"])
            .arg(&self.ca)
            .arg("--config")
            .arg(self.folder.path().join("auth"))
            .arg(format!("{}{path}", self.origin));
        command
    }

    /// Asks, with further arguments of curl's.
    pub(crate) fn ask(&self, path: &str, arguments: &[&str]) -> Answer {
        let (head, body) = (self.folder.path().join("head"), self.folder.path().join("body"));
        let mut command = self.command(path);
        command.arg("--dump-header").arg(&head).arg("--output").arg(&body);
        let _ = std::fs::remove_file(&body);
        let done = command
            .args(["--write-out", "%{http_code}"])
            .args(arguments)
            .output()
            .unwrap();
        let told = String::from_utf8(done.stdout).unwrap();
        Answer {
            status: told.parse().unwrap(),
            head: std::fs::read_to_string(head).unwrap_or_default(),
            body: std::fs::read(body).unwrap_or_default(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask(path, &[])
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(path, &["--json", &body.to_string()])
    }

    /// Changes what is there as of a revision.
    pub(crate) fn change(&self, method: &str, path: &str, revision: i64, body: Option<&Value>) -> Answer {
        let tag = format!("If-Match: \"{revision}\"");
        let mut arguments = vec!["--request", method, "--header", &tag];
        let body = body.map(ToString::to_string);
        if let Some(body) = &body {
            arguments.extend(["--json", body]);
        }
        self.ask(path, &arguments)
    }
}
