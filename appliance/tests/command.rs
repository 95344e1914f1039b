//! The built command as an ordinary service.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

const VCC: &str = env!("CARGO_BIN_EXE_vcc");

/// A running service; dropped, it is killed.
struct Service {
    child: Child,
    log: BufReader<ChildStderr>,
    /// From the `listening` line.
    address: String,
    fingerprint: String,
}

fn start(state: &Path, more: &[&str]) -> Service {
    let mut child = Command::new(VCC)
        .args(["node", "--listen", "127.0.0.1:0", "--state"])
        .arg(state)
        .args(more)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("vcc: listening ") {
        line.clear();
        assert_ne!(
            log.read_line(&mut line).unwrap(),
            0,
            "it ended before it listened"
        );
    }
    let value = |name: &str| {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
        word.unwrap().to_owned()
    };
    let (address, fingerprint) = (value("address="), value("fingerprint="));
    Service {
        child,
        log,
        address,
        fingerprint,
    }
}

impl Service {
    fn get(&self, path: &str) -> Option<serde_json::Value> {
        let url = format!("https://{}{path}", self.address);
        let output = Command::new("curl").args(["-sk", "-m", "10", &url]).output();
        let Ok(Output { stdout, .. }) = output else {
            eprintln!("skipped: curl is not installed");
            return None;
        };
        Some(serde_json::from_slice(&stdout).unwrap())
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    fn end(mut self) -> (i32, String) {
        self.signal(rustix::process::Signal::TERM);
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code().unwrap(), rest)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn curl_is_answered_and_the_service_ends_well_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let service = start(directory.path(), &[]);
    if let Some(health) = service.get("/healthz") {
        assert_eq!(health["status"], "ok");
    }
    let began = Instant::now();
    let (status, log) = service.end();
    assert_eq!(status, 0);
    assert!(log.contains("vcc: stopping cause=SIGTERM"), "{log}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_killed_service_comes_back_as_itself_and_counts_its_starts() {
    let directory = tempfile::tempdir().unwrap();
    let mut fingerprints = Vec::new();
    for boot in 1..=3 {
        let service = start(directory.path(), &[]);
        if let Some(about) = service.get("/api/v1/about") {
            assert_eq!(about["boots"], boot);
        }
        fingerprints.push(service.fingerprint.clone());
        service.signal(rustix::process::Signal::KILL);
    }
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 1);
}

#[test]
fn a_damaged_identity_is_named_and_the_service_answers_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    drop(start(directory.path(), &[]));
    std::fs::write(directory.path().join("identity/key.pem"), "no key").unwrap();
    let service = start(directory.path(), &[]);
    let (Some(ready), Some(about)) = (service.get("/readyz"), service.get("/api/v1/about")) else {
        return;
    };
    assert_eq!(ready["status"], "not-ready");
    let checks = ready["checks"].as_array().unwrap();
    let identity = checks.iter().find(|check| check["name"] == "identity").unwrap();
    assert_eq!(identity["status"], "fail");
    assert!(identity["reason"].as_str().unwrap().contains("key.pem"));
    assert_eq!(about["ephemeral"], true);
    let kept = std::fs::read_to_string(directory.path().join("identity/key.pem")).unwrap();
    assert_eq!(kept, "no key");
}

#[test]
fn a_state_directory_that_is_none_leaves_an_identity_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let service = start(&file, &[]);
    let (Some(ready), Some(about)) = (service.get("/readyz"), service.get("/api/v1/about")) else {
        return;
    };
    assert_eq!(ready["checks"][0]["name"], "state-disk");
    assert_eq!(ready["checks"][0]["status"], "fail");
    assert_eq!(about["ephemeral"], true);
}

#[test]
fn a_second_service_on_the_same_state_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _first = start(directory.path(), &[]);
    let second = Command::new(VCC)
        .args(["node", "--listen", "127.0.0.1:0", "--state"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let log = String::from_utf8_lossy(&second.stderr);
    assert!(log.contains("another process uses this state directory"), "{log}");
}

#[test]
fn an_address_in_use_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(VCC)
        .args(["node", "--listen", &address, "--state"])
        .arg(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains(&format!("{address}: cannot listen")), "{log}");
}

#[test]
fn beats_come_from_the_loop_that_serves_and_stop_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let (read, write) = std::io::pipe().unwrap();
    let mut child = Command::new(VCC)
        .args(["node", "--listen", "127.0.0.1:0", "--heartbeat-fd", "0"])
        .args(["--fault", "wedge-after=1", "--state"])
        .arg(directory.path())
        .stdin(write)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut beats = BufReader::new(read).lines();
    let first = beats.next().unwrap().unwrap();
    let beat = appliance::machine::Beat::parse(first.as_bytes()).unwrap();
    assert_eq!((beat.fingerprint.len(), beat.ephemeral), (95, false));
    let (told, news) = std::sync::mpsc::channel();
    std::thread::spawn(move || told.send(beats.next().is_some()));
    // The next beat would be due after five seconds.
    assert!(news.recv_timeout(Duration::from_millis(6500)).is_err());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn help_and_version_are_given() {
    for (argument, part) in [("--help", "Usage: vcc"), ("--version", "vcc 0.1.0")] {
        let output = Command::new(VCC).arg(argument).output().unwrap();
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains(part));
    }
    let none = Command::new(VCC).output().unwrap();
    assert_eq!(none.status.code(), Some(2));
}
