//! Whose a state directory is.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// Sees that the state is ours, if there is one. Another user's files there its service could not use; and a superuser who
/// worked in a service's directory could be led out of it by links.
///
/// # Errors
/// [`Kind::StateOwner`].
pub(super) fn demand(state: &Path) -> Result<()> {
    let owner = match state.metadata() {
        Ok(metadata) => metadata.uid(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::file(state, "look at", error)),
    };
    let own = rustix::process::geteuid().as_raw();
    match owner == own {
        true => Ok(()),
        false => {
            let reason = format!("belongs to the user {owner}, and this is the user {own}");
            Err(Error::new(Kind::StateOwner, state.display().to_string(), reason))
        }
    }
}
