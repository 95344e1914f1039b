//! Signed documents in files, as people carry them.

use std::io::Write as _;
use std::path::Path;

use super::failure::{Failure, Result};
use crate::error::{Error, Kind};
use crate::file::{self, PrivateFile};
use crate::transfer::Signed;

/// The longest file: two of the longest documents.
const LONGEST: usize = 256 << 10;

/// Reads one; what it says, and who signed it, is for its reader to judge.
pub(crate) fn read(path: &Path) -> Result<Signed> {
    let bytes = file::read(path, LONGEST)?;
    let wrong = |error| {
        Error::new(
            Kind::Malformed,
            path.display().to_string(),
            "is no signed document",
        )
        .because(error)
    };
    Ok(serde_json::from_slice(&bytes).map_err(wrong)?)
}

/// Keeps one; a file that is there is replaced only if that is wanted.
pub(crate) fn keep(path: &Path, document: &Signed, replace: bool) -> Result<()> {
    let mut bytes = serde_json::to_vec(document)
        .map_err(|error| Error::new(Kind::Malformed, "the document", "can't be written").because(error))?;
    bytes.push(b'\n');
    let mut file = PrivateFile::create(path)?;
    file.write_all(&bytes)
        .map_err(|error| Error::file(path, "write", error))?;
    file.finish(replace).map_err(taken)
}

/// What this machine refuses to write over, and what to do about it.
pub(crate) fn taken(error: Error) -> Failure {
    match error.kind() {
        Kind::Taken => Failure::Rejected(error, "--force replaces it"),
        _ => error.into(),
    }
}
