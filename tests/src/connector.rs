//! `vcc` as an ordinary process, from its start without an administrator.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::artefacts;
use crate::web::{self, Answer};

pub const PASSWORD: &str = "correct horse battery";

/// A connector; dropped, it is killed.
pub struct Connector {
    pub process: Child,
    pub address: SocketAddr,
    /// What it is set up with.
    pub code: String,
    /// Of its certificate, as it tells it.
    pub fingerprint: String,
    /// The administrator's, once there is one.
    pub token: String,
}

impl Drop for Connector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Connector {
    /// A new one on a port of the loopback interface.
    pub fn start(role: &str, state: &Path) -> Self {
        let mut command = Command::new(artefacts::vcc());
        command
            .args([role, "--listen", "127.0.0.1:0", "--state"])
            .arg(state);
        Self::of(command)
    }

    /// The one that a command starts.
    pub fn of(mut command: Command) -> Self {
        let command = command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut told = String::new();
        while !(told.contains("vcc: listening ") && told.contains("vcc: set-up code=")) {
            assert_ne!(log.read_line(&mut told).unwrap(), 0, "it ended: {told}");
        }
        // Whoever stops reading stops whoever writes.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let value = |name: &str| {
            let word = told.split_whitespace().find_map(|word| word.strip_prefix(name));
            word.unwrap().to_owned()
        };
        Self {
            process,
            address: value("address=").parse().unwrap(),
            code: value("code="),
            fingerprint: value("fingerprint="),
            token: String::new(),
        }
    }

    /// The same with the administrator `root`, who is logged in; on a node, enrolled with a server.
    #[must_use]
    pub fn set_up(mut self, enrolment: Option<Value>) -> Self {
        self.token = set_up(&self.origin(), &self.code, enrolment);
        self
    }

    pub fn origin(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn ask(&self, method: &str, path: &str, fields: &[&str], body: Option<&Value>) -> Answer {
        web::ask(&self.origin(), path, &self.token, method, fields, body).unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        self.ask("GET", path, &[], None).json()
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[], Some(body))
    }
}

/// Makes the administrator `root` of a connector, and gives its session.
pub fn set_up(origin: &str, code: &str, enrolment: Option<Value>) -> String {
    let mut wish = json!({ "code": code, "administrator": { "name": "root", "password": PASSWORD } });
    if let Some(enrolment) = enrolment {
        wish["enrolment"] = enrolment;
    }
    let made = web::post(origin, "/api/v1/setup", "", &wish).unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    let login = json!({ "name": "root", "password": PASSWORD });
    let session = web::post(origin, "/api/v1/session", "", &login).unwrap();
    session.json()["token"].as_str().unwrap().to_owned()
}
