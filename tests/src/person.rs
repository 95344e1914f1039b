//! Somebody with the command line of `vcc`.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::artefacts;
use crate::connector::PASSWORD;
use crate::namespace::{Namespace, command_in};

/// An administrator, logged in to one connector.
pub struct Person {
    home: TempDir,
    /// The network namespace where the command line is; where the test is, if there is none.
    namespace: Option<String>,
}

impl Person {
    /// The first administrator of a connector: sets it up by the code that it shows.
    pub fn set_up(place: &str, fingerprint: &str, code: &str) -> Self {
        Self::first(None, place, fingerprint, code)
    }

    /// The same, in a network namespace.
    pub fn set_up_in(namespace: &Namespace, place: &str, fingerprint: &str, code: &str) -> Self {
        Self::first(Some(namespace.name().to_owned()), place, fingerprint, code)
    }

    fn first(namespace: Option<String>, place: &str, fingerprint: &str, code: &str) -> Self {
        let person = Self {
            home: tempfile::tempdir().unwrap(),
            namespace,
        };
        let (code, password) = (person.file("code", code), person.file("password", PASSWORD));
        let mut setup = person.command(&["setup", place, "--fingerprint", fingerprint]);
        setup.arg("--code-file").arg(code);
        artefacts::success(setup.arg("--password-file").arg(password));
        person
    }

    /// A file of that name, and with that in it.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.namespace {
            Some(name) => command_in(name, &artefacts::vcc()),
            None => Command::new(artefacts::vcc()),
        };
        command.args(arguments).env("XDG_CONFIG_HOME", self.home.path());
        command
    }

    /// What works, and its result.
    pub fn get(&self, arguments: &[&str]) -> Value {
        let out = artefacts::success(self.command(arguments).arg("--json"));
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }
}
