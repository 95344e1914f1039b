//! Programs written by other people that judge what we make.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::artefacts;

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// A counterpart, or nothing where the machine lacks it: the caller then returns. In CI nothing may lack.
pub fn find(program: &str) -> Option<Command> {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"];
    let found = folders
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists());
    found.map_or_else(|| missing(program), |path| Some(Command::new(path)))
}

/// The Python of COT or Schemathesis, from the virtual environment that `scripts/dependencies.sh` makes; otherwise as [`find`].
pub fn find_python(name: &str) -> Option<Command> {
    let python = artefacts::workspace().join(format!("out/{name}/bin/python"));
    if python.exists() {
        Some(Command::new(python))
    } else {
        missing(name)
    }
}

/// Notes that the machine lacks something, for which the caller returns. In CI nothing may lack.
pub fn missing<T>(what: &str) -> Option<T> {
    assert!(
        std::env::var_os("CI").is_none(),
        "{what} is missing, and CI must not skip"
    );
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    eprintln!("skipped ({count}): {what} is missing");
    None
}
