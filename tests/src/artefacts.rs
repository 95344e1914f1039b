//! What `make e2e` built, by environment variables.

use std::path::PathBuf;
use std::process::{Command, Output};

fn from(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable);
    value
        .unwrap_or_else(|| panic!("{variable} is not set: run the end-to-end tests by 'make e2e'"))
        .into()
}

/// The `ova` command.
pub fn ova() -> Command {
    Command::new(from("OVA"))
}

/// The `vcc` program, as the appliance carries it.
pub fn vcc() -> PathBuf {
    from("VCC")
}

/// The signed appliance.
pub fn package() -> PathBuf {
    from("PACKAGE")
}

/// The development keys that signed it.
pub fn key(name: &str) -> PathBuf {
    from("KEYS").join(name)
}

/// The workspace.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Runs a command to its end and returns what it printed, whatever its exit code.
pub fn output(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command that must succeed and returns its standard output.
pub fn success(command: &mut Command) -> String {
    let output = output(command);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{command:?} left with {}\n{out}\n{err}",
        output.status
    );
    out.into_owned()
}

/// Runs a command that must leave with this exit code and returns all it printed.
pub fn exits(command: &mut Command, code: i32) -> String {
    let output = output(command);
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{text}");
    text
}
