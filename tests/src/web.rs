//! Asking a running service, by curl and openssl.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::artefacts;

/// An answer of a web service.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A metric's value, from an answer of `/metrics`; the sum where it has labels.
    pub fn metric(&self, name: &str) -> f64 {
        let samples = self.body.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let bare = rest.starts_with([' ', '{']);
            bare.then(|| rest.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        });
        let samples: Vec<f64> = samples.collect();
        assert!(!samples.is_empty(), "no metric {name} in\n{}", self.body);
        samples.iter().sum()
    }

    /// The check of that name, from an answer of `/readyz`.
    pub fn check(&self, name: &str) -> Value {
        let body = self.json();
        let checks = body["checks"]
            .as_array()
            .unwrap_or_else(|| panic!("no checks: {self:?}"));
        let found = checks.iter().find(|check| check["name"] == name);
        found
            .cloned()
            .unwrap_or_else(|| panic!("no check {name}: {self:?}"))
    }
}

/// A port that is free now; whoever asked takes it at once, and tests side by side get different ones.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// One request, the certificate unchecked; nothing where nobody answers HTTP.
pub fn get(origin: &str, path: &str) -> Option<Answer> {
    answer(Command::new("curl").arg(format!("{origin}{path}")))
}

/// One request with a body of JSON, by somebody who has a token unless it is empty.
pub fn post(origin: &str, path: &str, token: &str, body: &Value) -> Option<Answer> {
    ask(origin, path, token, "POST", &[], Some(body))
}

/// One request, by somebody who has a token unless it is empty, with more header fields.
pub fn ask(
    origin: &str,
    path: &str,
    token: &str,
    method: &str,
    fields: &[&str],
    body: Option<&Value>,
) -> Option<Answer> {
    // Nothing of it is for the list of processes.
    let mut given = tempfile::NamedTempFile::new().unwrap();
    let mut line = |name: &str, value: &str| writeln!(given, "{name} = {value:?}").unwrap();
    line("request", method);
    if !token.is_empty() {
        line("header", &format!("Authorization: Bearer {token}"));
    }
    for field in fields {
        line("header", field);
    }
    if let Some(body) = body {
        line("header", "Content-Type: application/json");
        line("data", &body.to_string());
    }
    let mut curl = Command::new("curl");
    answer(
        curl.arg("--config")
            .arg(given.path())
            .arg(format!("{origin}{path}")),
    )
}

fn answer(curl: &mut Command) -> Option<Answer> {
    let output = curl
        .args(["-sk", "--max-time", "20", "-w", "\n%{http_code} %{content_type}"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, tail) = text.rsplit_once('\n')?;
    let (status, content_type) = tail.split_once(' ')?;
    let status = status
        .parse()
        .ok()
        .filter(|status| output.status.success() && *status != 0)?;
    Some(Answer {
        status,
        content_type: content_type.to_owned(),
        body: body.to_owned(),
    })
}

/// The SHA-256 fingerprint of the certificate shown at a port of this machine, as `AA:BB:...`, by openssl.
pub fn fingerprint(port: u16) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256"
    );
    let text = artefacts::success(Command::new("bash").args(["-c", &script]));
    text.trim().rsplit_once('=').unwrap().1.to_owned()
}
