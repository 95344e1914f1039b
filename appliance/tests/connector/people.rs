//! Services that run as their users run them, and people with a command line.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

pub(crate) const VCC: &str = env!("CARGO_BIN_EXE_vcc");
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A running service; dropped, it is killed.
pub(crate) struct Service {
    child: Child,
    pub(crate) code: String,
    pub(crate) address: String,
    pub(crate) fingerprint: String,
    pub(crate) state: tempfile::TempDir,
}

impl Service {
    pub(crate) fn start(role: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut child = spawn(role, "127.0.0.1:0", state.path(), None);
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        while !(told.contains("vcc: listening ") && told.contains("vcc: set-up code=")) {
            assert_ne!(log.read_line(&mut told).unwrap(), 0, "it ended: {told}");
        }
        // A full pipe would stop the service.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let value = |name: &str| {
            let word = told.split_whitespace().find_map(|word| word.strip_prefix(name));
            word.unwrap().to_owned()
        };
        Self {
            child,
            code: value("code="),
            address: value("address="),
            fingerprint: value("fingerprint="),
            state,
        }
    }
}

impl Service {
    /// KiB that it has in memory.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.unwrap().trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Kills it as the kernel does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The same, and starts it again with what it left.
    pub(crate) fn kill_and_start(&mut self, role: &str) {
        self.kill();
        self.start_again(role);
    }

    /// Starts it again after it was killed, with what it left, or what was put there.
    pub(crate) fn start_again(&mut self, role: &str) {
        let child = spawn(role, &self.address, self.state.path(), None);
        self.listens(child);
    }

    /// The same, in an appliance whose PID 1 reports.
    pub(crate) fn kill_and_start_on(&mut self, role: &str, machine: &Path) {
        self.kill();
        let child = spawn(role, &self.address, self.state.path(), Some(machine));
        self.listens(child);
    }

    fn listens(&mut self, child: Child) {
        self.child = child;
        let mut log = BufReader::new(self.child.stderr.take().unwrap());
        let mut told = String::new();
        while !told.contains("vcc: listening ") {
            assert_ne!(log.read_line(&mut told).unwrap(), 0, "it ended: {told}");
        }
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    }
}

fn spawn(role: &str, listen: &str, state: &Path, machine: Option<&Path>) -> Child {
    let mut command = Command::new(VCC);
    command.args([role, "--listen", listen, "--state"]).arg(state);
    if let Some(machine) = machine {
        command.arg("--machine").arg(machine);
    }
    command.stderr(Stdio::piped()).spawn().unwrap()
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a call came to.
pub(crate) struct Done {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

/// Somebody with a home directory.
pub(crate) struct Person {
    pub(crate) home: tempfile::TempDir,
}

impl Person {
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    /// The administrator, logged in to a server that is new.
    pub(crate) fn administrator(service: &Service) -> Self {
        let person = Self::new();
        let (code, password) = (person.file("code", &service.code), person.file("pw", PASSWORD));
        let host = &service.address;
        let done = person.call(
            &["setup", host, "--fingerprint", &service.fingerprint],
            &[("--code-file", &code), ("--password-file", &password)],
        );
        assert_eq!(done.status, 0, "{}", done.err);
        person
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path
    }

    pub(crate) fn session(&self) -> PathBuf {
        self.home.path().join("vcc/session.json")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(VCC);
        command
            .args(arguments)
            .env_clear()
            .env("XDG_CONFIG_HOME", self.home.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn call(&self, arguments: &[&str], files: &[(&str, &Path)]) -> Done {
        let mut command = self.command(arguments);
        for (option, path) in files {
            command.arg(option).arg(path);
        }
        done(command)
    }

    pub(crate) fn try_to(&self, arguments: &[&str]) -> Done {
        self.call(arguments, &[])
    }

    /// What works, and its result.
    pub(crate) fn get(&self, arguments: &[&str]) -> Value {
        let done = self.try_to(&[arguments, &["--json"]].concat());
        assert_eq!(done.status, 0, "{arguments:?}: {}{}", done.out, done.err);
        done.json()
    }
}

pub(crate) fn done(mut command: Command) -> Done {
    let output = command.output().unwrap();
    Done {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
