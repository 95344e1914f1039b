//! `vcc` as an ordinary process, outside an appliance.
#![allow(clippy::unwrap_used, reason = "a failed expectation of a test is a panic")]

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use e2e::artefacts;
use e2e::web::{self, Answer};

struct Service {
    process: Child,
    port: u16,
}

const PATIENCE: Duration = Duration::from_secs(60);

impl Service {
    fn start(role: &str, state: &Path) -> Self {
        let port = web::free_port();
        let mut command = Command::new(artefacts::vcc());
        command
            .arg(role)
            .arg("--state")
            .arg(state)
            .args(["--listen", &format!("127.0.0.1:{port}")]);
        let process = command.stdin(Stdio::null()).spawn().unwrap();
        let mut service = Self { process, port };
        let end = Instant::now() + PATIENCE;
        while service
            .try_get("/healthz")
            .is_none_or(|answer| answer.status != 200)
        {
            assert!(service.process.try_wait().unwrap().is_none(), "the service left");
            assert!(Instant::now() < end, "the service does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        service
    }

    fn try_get(&self, path: &str) -> Option<Answer> {
        web::get(&format!("https://127.0.0.1:{}", self.port), path)
    }

    fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap()
    }

    fn signal(&self, name: &str) {
        artefacts::success(Command::new("kill").args([name, &self.process.id().to_string()]));
    }

    fn wait(mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the service does not leave");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_program_needs_no_library_of_the_machine() {
    let output = artefacts::output(Command::new("ldd").arg(artefacts::vcc()));
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("statically linked") || text.contains("not a dynamic executable"),
        "{text}"
    );
}

#[test]
fn the_service_keeps_its_identity_over_restarts_and_ends_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut seen = Vec::new();
    for (boots, signal) in [(1, "-TERM"), (2, "-INT"), (3, "-KILL"), (4, "-TERM")] {
        let service = Service::start("node", &state);
        let about = service.get("/api/v1/about").json();
        assert_eq!(about["role"], "node");
        assert_eq!(about["ephemeral"], false);
        assert_eq!(about["boots"], boots);
        seen.push((about["instance_id"].clone(), web::fingerprint(service.port)));
        let ready = service.get("/readyz");
        assert_eq!(ready.status, 200, "{ready:?}");
        service.signal(signal);
        let status = service.wait();
        assert_eq!(
            status.code(),
            (signal != "-KILL").then_some(0),
            "{signal}: {status}"
        );
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn two_services_have_different_identities() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| Service::start("server", &folder.path().join(name)));
    let instance = |service: &Service| service.get("/api/v1/about").json()["instance_id"].clone();
    assert_ne!(instance(&first), instance(&second));
    assert_ne!(web::fingerprint(first.port), web::fingerprint(second.port));
}

#[test]
fn a_second_service_is_kept_off_the_same_state() {
    let folder = tempfile::tempdir().unwrap();
    let first = Service::start("node", folder.path());
    let port = web::free_port();
    let mut second = Command::new(artefacts::vcc());
    second
        .args(["node", "--listen", &format!("127.0.0.1:{port}"), "--state"])
        .arg(folder.path());
    let output = artefacts::output(&mut second);
    assert!(!output.status.success());
    assert!(!output.stderr.is_empty());
    assert_eq!(first.get("/healthz").status, 200);
}

#[test]
fn a_damaged_identity_is_told_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let service = Service::start("node", folder.path());
        service.signal("-TERM");
        service.wait();
        std::fs::write(folder.path().join("identity/cert.pem"), "damaged").unwrap();
        snapshot(&folder.path().join("identity"))
    };
    let service = Service::start("node", folder.path());
    let ready = service.get("/readyz");
    assert_eq!(ready.status, 503, "{ready:?}");
    assert_eq!(ready.check("identity")["status"], "fail", "{ready:?}");
    assert_eq!(service.get("/api/v1/about").json()["ephemeral"], true);
    assert_eq!(snapshot(&folder.path().join("identity")), before);
}

fn snapshot(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}
