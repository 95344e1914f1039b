//! Packages that other people's tools wrote; they stay outside the repository.

use std::path::PathBuf;

use crate::artefacts;

/// The folder of the packages, or nothing, with a printed reason, where it is absent: the caller then returns.
pub fn folder() -> Option<PathBuf> {
    let beside = || artefacts::workspace().join("../shared/corpus");
    let folder = std::env::var_os("OVF_CORPUS").map_or_else(beside, PathBuf::from);
    if folder.join("INDEX.tsv").is_file() {
        return Some(folder);
    }
    eprintln!("skipped: no corpus at {}", folder.display());
    None
}
