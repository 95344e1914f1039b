//! `vcc up`, as somebody runs it who tries the product out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const VCC: &str = env!("CARGO_BIN_EXE_vcc");

/// Three connectors that run; dropped, they are killed.
struct Up {
    child: Child,
    told: Value,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(state: &Path, more: &[&str]) -> Child {
    let mut command = Command::new(VCC);
    command.args(["up", "--json", "--state"]).arg(state).args(more);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The first of three ports in turn that nobody has just now.
fn free_ports() -> u16 {
    let is_free = |port: &u16| (0..3).all(|more| TcpListener::bind(("127.0.0.1", port + more)).is_ok());
    (20_000 + u16::try_from(std::process::id() % 20_000).unwrap()..60_000)
        .step_by(7)
        .find(is_free)
        .unwrap()
}

impl Up {
    fn start(state: &Path, more: &[&str]) -> Self {
        let mut child = spawn(state, more);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let told = serde_json::from_str(&line).unwrap();
        Self { child, told }
    }

    /// What the server answers to curl, by the certificates and the token that were told.
    fn get(&self, path: &str) -> Option<Value> {
        let file = |name: &str| self.told[name].as_str().unwrap().to_owned();
        let token = std::fs::read_to_string(file("token_file")).unwrap();
        let url = format!("{}{path}", self.told["server"]["url"].as_str().unwrap());
        let output = Command::new("curl")
            .args(["-sS", "-m", "20", "--cacert", &file("ca_file")])
            .args(["--oauth2-bearer", token.trim(), &url])
            .output();
        match output {
            Ok(output) => Some(serde_json::from_slice(&output.stdout).unwrap()),
            Err(_) => {
                eprintln!("skipped: curl is not installed");
                None
            }
        }
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}

fn clouds(nodes: &Value) -> Vec<String> {
    let live = nodes
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["status"] == "LIVE");
    let mut clouds: Vec<_> = live
        .map(|node| node["cloud"].as_str().unwrap().to_owned())
        .collect();
    clouds.sort();
    clouds
}

#[test]
fn one_command_starts_a_server_and_two_clouds_and_they_survive_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("made/by/it");
    let port = free_ports().to_string();
    let up = Up::start(&state, &["--port", &port]);
    assert_eq!(up.told["server"]["url"], format!("https://127.0.0.1:{port}"));
    let Some(nodes) = up.get("/api/v1/nodes") else {
        return;
    };
    assert_eq!(clouds(&nodes), ["north", "south"]);
    let told = up.told.clone();
    assert_eq!(up.end(Signal::INT), Some(0));
    let up = Up::start(&state, &[]);
    assert_eq!(up.told, told, "addresses, ids and files stay");
    assert_eq!(clouds(&up.get("/api/v1/nodes").unwrap()), ["north", "south"]);

    let second = spawn(&state, &[]).wait_with_output().unwrap();
    assert_eq!(
        (second.status.code(), second.stdout.len()),
        (Some(2), 0),
        "one at a time"
    );
    assert_eq!(up.end(Signal::TERM), Some(0));
}

#[test]
fn a_first_start_that_was_cut_off_anywhere_is_gone_on_with() {
    let directory = tempfile::tempdir().unwrap();
    for milliseconds in [20, 80, 160, 320, 640] {
        let mut child = spawn(directory.path(), &[]);
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let up = Up::start(directory.path(), &[]);
    if let Some(nodes) = up.get("/api/v1/nodes") {
        assert_eq!(clouds(&nodes), ["north", "south"]);
    }
}
