//! `vcc status`.

use clap::Args;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Connector, Result, printable, text};

/// Show who is logged in, what the connector is, and whether all is well with it
///
/// A problem comes with what to do about it.
#[derive(Debug, Args)]
pub(super) struct Arguments {}

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let session = call.target.find().await?;
        let mut connector = Connector::of(&session)?;
        let about = connector.get("/api/v1/about").await?;
        let ready = connector.get_any("/readyz").await?;
        let who = connector.get("/api/v1/session").await;
        let enrolment = match (&who, about["role"].as_str()) {
            (Ok(_), Some("node" | "sp")) => present(connector.get("/api/v1/enrolment").await)?,
            _ => Value::Null,
        };
        let (who, ended) = match who {
            Ok(who) => (who, None),
            Err(failure) => (Value::Null, Some(failure)),
        };
        let mut status =
            json!({ "connector": session.server.to_string(), "who": who, "about": about, "ready": ready });
        if !enrolment.is_null() {
            status["enrolment"] = enrolment;
        }
        if let Some(failure) = ended {
            // With JSON there is one document, and that is the failure's.
            call.output.remark(told(&status).trim_end());
            return Err(failure);
        }
        call.output.result(&status, || told(&status))
    }
}

/// What may be missing, or not be for this user.
fn present(answer: Result<Value>) -> Result<Value> {
    let hidden = [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN];
    match answer {
        Err(failure) if hidden.into_iter().any(|status| failure.has_status(status)) => Ok(Value::Null),
        other => other,
    }
}

fn told(status: &Value) -> String {
    let (who, about, ready) = (&status["who"], &status["about"], &status["ready"]);
    let mut lines = vec![
        ("connector", text(status, "connector")),
        (
            "program",
            format!(
                "{} {}, {}",
                text(about, "product"),
                text(about, "version"),
                text(about, "role")
            ),
        ),
        ("host", text(about, "hostname")),
        ("user", format!("{}, {}", text(who, "name"), text(who, "role"))),
        ("status", text(ready, "status")),
    ];
    if let Some(tenant) = who["tenant"].as_str() {
        lines.insert(4, ("tenant", printable(tenant)));
    }
    let enrolment = &status["enrolment"];
    if !enrolment.is_null() {
        lines.push((
            "server",
            format!("{}, {}", text(enrolment, "server"), text(enrolment, "state")),
        ));
    }
    if enrolment["state"] == "PENDING" {
        lines.push(("key", text(enrolment, "fingerprint")));
    }
    if enrolment["trouble"].is_string() {
        lines.push(("trouble", text(enrolment, "trouble")));
    }
    let problems = ready["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let problems: Vec<_> = problems
        .iter()
        .filter(|check| check["status"] != "pass")
        .collect();
    for check in &problems {
        let what = format!("{}: {}", text(check, "name"), text(check, "reason"));
        lines.push((
            if check["status"] == "warn" {
                "warning"
            } else {
                "problem"
            },
            what,
        ));
        if check["remedy"].is_string() {
            lines.push(("  remedy", text(check, "remedy")));
        }
    }
    lines
        .iter()
        .map(|(name, value)| format!("{name:9}  {value}\n"))
        .collect()
}
