//! A new password for an administrator who has lost theirs: whoever has the machine's console asks for a code there, and
//! gives it over the network along with the password.
//!
//! PID 1 makes the code and keeps its digest in memory beside the machine's report; the service takes the code once.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::file;
use crate::setup::Code;

const NAME: &str = "administrator-reset.json";
const LIMIT: usize = 1024;
/// How long a code is good.
const LIFETIME: Duration = Duration::from_secs(3600);

/// What is kept of a code.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// SHA-256 of the code, in hexadecimal.
    digest: String,
    /// Seconds since the machine started.
    until: u64,
}

/// Makes a code, `now` after the machine's start. One that was made before is void.
///
/// # Errors
/// [`Kind::Io`], and where there is no randomness.
pub fn issue(directory: &Path, now: Duration) -> Result<Code> {
    let code = Code::new()?;
    let order = Order {
        digest: code.digest(),
        until: now.saturating_add(LIFETIME).as_secs(),
    };
    let bytes = serde_json::to_vec(&order)
        .map_err(|e| Error::new(Kind::Malformed, NAME, "cannot be written as JSON").because(e))?;
    let path = directory.join(NAME);
    let new = path.with_extension("new");
    // No other user of the machine need see even the digest.
    file::write_new(&new, &bytes, 0o600)
        .and_then(|_| std::fs::rename(&new, &path))
        .map_err(|e| Error::file(&path, "write", e))?;
    Ok(code)
}

/// Uses the code up, if it is the one and still good. Of two who have it, one is served.
pub fn claim(directory: &Path, typed: &str, now: Duration) -> bool {
    is_good(directory, typed, now) && std::fs::remove_file(directory.join(NAME)).is_ok()
}

/// Whether this is the code, and it is still good.
pub fn is_good(directory: &Path, typed: &str, now: Duration) -> bool {
    let order = file::read(&directory.join(NAME), LIMIT).ok();
    let order: Option<Order> = order.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let is_good = |order: Order| now.as_secs() < order.until && Code::digest_of(typed) == order.digest;
    order.is_some_and(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn a_code_is_good_once() {
        let folder = tempfile::tempdir().unwrap();
        let code = issue(folder.path(), NOW).unwrap().to_string();
        assert!(!claim(folder.path(), "0000-0000-0000", NOW));
        assert!(claim(folder.path(), &code.to_lowercase(), NOW));
        assert!(!claim(folder.path(), &code, NOW));
    }

    #[test]
    fn a_code_ends_after_its_time_and_with_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let first = issue(folder.path(), NOW).unwrap().to_string();
        let second = issue(folder.path(), NOW).unwrap().to_string();
        assert!(!claim(folder.path(), &first, NOW));
        assert!(!claim(folder.path(), &second, NOW + LIFETIME));
        assert!(claim(folder.path(), &second, NOW + LIFETIME / 2));
    }

    #[test]
    fn the_code_itself_is_nowhere_and_a_file_that_is_none_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let code = issue(folder.path(), NOW).unwrap().to_string();
        let kept = std::fs::read_to_string(folder.path().join(NAME)).unwrap();
        assert!(!kept.contains(&code) && !kept.contains(&code.replace('-', "")));
        std::fs::write(folder.path().join(NAME), "{}").unwrap();
        assert!(!claim(folder.path(), &code, NOW));
    }
}
