//! `vcc logout`.

use clap::Args;

use super::Call;
use crate::admin::{Connector, Credential, Result, Session};
use crate::error::Error;

/// Log out: end the session there, and forget it here
///
/// A token that was logged in with stays good; `vcc token revoke` ends it.
#[derive(Debug, Args)]
pub(super) struct Arguments {}

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let path = call.target.session_path()?;
        let session = Session::load(&path)?;
        let ended = end(&session).await;
        // Whatever is there, it is forgotten here.
        std::fs::remove_file(&path).map_err(|error| Error::file(&path, "remove", error))?;
        match ended {
            Err(failure) if !failure.is_logged_out() => {
                call.output
                    .remark("forgotten here; there the session ends by itself, since:");
                Err(failure)
            }
            _ => call
                .output
                .result(&serde_json::json!({}), || "logged out\n".to_owned()),
        }
    }
}

async fn end(session: &Session) -> Result<()> {
    match session.credential {
        Credential::Session(_) => Connector::of(session)?.delete("/api/v1/session").await,
        Credential::Token(_) => Ok(()),
    }
}
