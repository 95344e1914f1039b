//! The API keeps what its OpenAPI document says, whatever is asked: Schemathesis asks.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use e2e::{artefacts, counterpart};
use serde_json::Value;

/// What is not asked for: it would end the asker's own session or token, or never answer to its end.
const EXCLUDED: [&str; 3] = ["delete_session", "delete_tokens_id", "get_events"];
/// Not among them are the checks that take every 422 for a breach: what a document cannot say is refused so.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,ignored_auth";

struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_and_a_node_answer_as_they_say_to_whatever_is_asked() {
    if counterpart::find_python("schemathesis").is_none() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let mut child = Command::new(artefacts::vcc())
        .args(["up", "--json", "--state"])
        .arg(state.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let _up = Up(child);
    let told: Value = serde_json::from_str(&line).unwrap();
    for place in [&told["server"], &told["nodes"][0]] {
        let token = std::fs::read_to_string(place["token_file"].as_str().unwrap()).unwrap();
        let mut asks = counterpart::find_python("schemathesis").unwrap();
        asks.args([
            "-m",
            "schemathesis.cli",
            "run",
            "--no-color",
            "--workers",
            "1",
            "--seed",
            "1",
        ])
        .args([
            "--max-examples",
            "30",
            "--tls-verify",
            "false",
            "--suppress-health-check",
            "all",
        ])
        .args(["--checks", CHECKS])
        .arg("--header")
        .arg(format!("Authorization: Bearer {}", token.trim()));
        for operation in EXCLUDED {
            asks.args(["--exclude-operation-id", operation]);
        }
        asks.arg(format!("{}/api/v1/openapi.json", place["url"].as_str().unwrap()));
        // Its cache is no part of the workspace.
        let report = artefacts::exits(asks.current_dir(state.path()), 0);
        assert!(report.contains("Tested:"), "{report}");
    }
}
