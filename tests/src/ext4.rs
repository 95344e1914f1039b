//! An ext4 file system in a raw image, as e2fsprogs sees it.

use std::path::Path;
use std::process::Command;

use crate::{artefacts, counterpart};

/// What `e2fsck` says: its exit code (0 clean, 1 mended, 4 and above left damaged) and text.
pub fn check(raw: &Path, options: &str) -> Option<(i32, String)> {
    let output = artefacts::output(counterpart::find("e2fsck")?.arg(options).arg(raw));
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Some((output.status.code().unwrap(), text))
}

/// A field of the superblock, as `dumpe2fs -h` names it.
pub fn field(raw: &Path, name: &str) -> Option<String> {
    let text = artefacts::success(counterpart::find("dumpe2fs")?.arg("-h").arg(raw));
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Some(
        value
            .unwrap_or_else(|| panic!("no '{name}' in\n{text}"))
            .trim()
            .to_owned(),
    )
}

/// Runs one of debugfs' commands, with the right to write, and returns what it printed.
pub fn debug(raw: &Path, request: &str) -> Option<String> {
    let mut command: Command = counterpart::find("debugfs")?;
    Some(artefacts::success(command.args(["-w", "-R", request]).arg(raw)))
}
