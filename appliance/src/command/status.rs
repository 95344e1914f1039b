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
        let nodes = match (&who, about["role"].as_str()) {
            (Ok(_), Some("server")) => {
                let nodes = connector.list("/api/v1/nodes", 500, None).await;
                present(nodes.map(|nodes| counted(&nodes)))?
            }
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
        if !nodes.is_null() {
            status["nodes"] = nodes;
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

/// What nodes are counted by: those that were taken in by their signs of life, the others by what was decided.
const COUNTED: [&str; 5] = ["LIVE", "STALE", "UNREACHABLE", "PENDING", "SUSPENDED"];

/// How many nodes there are of each sort; those that were sent away count no more.
fn counted(nodes: &[Value]) -> Value {
    let sort = |node: &Value| match node["state"].as_str() {
        Some("ACTIVE") => node["status"].as_str().unwrap_or_default().to_owned(),
        other => other.unwrap_or_default().to_owned(),
    };
    let counts = COUNTED.map(|name| {
        let many = nodes.iter().filter(|node| sort(node) == name).count();
        (name.to_lowercase(), Value::from(many))
    });
    Value::Object(counts.into_iter().collect())
}

fn told_counts(counts: &Value) -> String {
    let each = counts.as_object().into_iter().flatten();
    let some: Vec<_> = each
        .filter(|(_, many)| **many != 0)
        .map(|(name, many)| format!("{many} {name}"))
        .collect();
    match some.is_empty() {
        true => "none".to_owned(),
        false => some.join(", "),
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
    for (name, field) in [("spoken", "spoken"), ("cert until", "expires")] {
        if enrolment[field].is_string() {
            lines.push((name, text(enrolment, field)));
        }
    }
    if status["nodes"].is_object() {
        lines.push(("nodes", told_counts(&status["nodes"])));
    }
    if enrolment["state"] == "PENDING" {
        lines.push(("key", text(enrolment, "fingerprint")));
        let node = text(enrolment, "node");
        let what = format!("somebody at the server, who compares the key: vcc node approve {node}");
        lines.push(("waits for", what));
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
        .map(|(name, value)| format!("{name:10}  {value}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_counted_by_what_has_to_be_done_about_them() {
        let node = |state: &str, status: &str| json!({ "state": state, "status": status });
        let nodes = [
            node("ACTIVE", "LIVE"),
            node("ACTIVE", "LIVE"),
            node("ACTIVE", "UNREACHABLE"),
            node("PENDING", "UNREACHABLE"),
            node("REVOKED", "UNREACHABLE"),
        ];
        let counts = counted(&nodes);
        assert_eq!(
            counts,
            json!({ "live": 2, "stale": 0, "unreachable": 1, "pending": 1, "suspended": 0 })
        );
        assert_eq!(told_counts(&counts), "2 live, 1 unreachable, 1 pending");
        assert_eq!(told_counts(&counted(&[])), "none");
    }
}
