//! `vcc restore`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Call;
use super::backup::refusal;
use crate::admin::{Failure, Result};
use crate::backup;
use crate::clock::Clock;
use crate::error::Kind;

/// Put a backup in place, where no service runs
///
/// All of the backup is read and checked before anything changes. Stop the service first, and let no other machine run with the same
/// state: there would be two of it. What was changed since the backup is undone, also what was revoked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vcc restore --state /var/lib/vcc-server /backup/server-2026-01-02.tar
  vcc restore --state /var/lib/vcc-server --replace /backup/server-2026-01-02.tar

A server takes back nodes that went on since the backup. A node is SUSPENDED by its server, as a clone would be:
enrol it anew, and approve it with --replaces.

Exit codes:
  0  done
  1  refused: a damaged backup, a state that is there, or a service that runs; nothing has changed
  2  wrong usage, or a file that can't be read or written")]
pub(super) struct Arguments {
    /// The state directory, which no service uses; made if it is missing
    #[arg(long, value_name = "DIR")]
    state: PathBuf,

    /// Put it in the place of a state that is there, which is kept as `replaced-TIME` in the directory
    #[arg(long)]
    replace: bool,

    /// A backup, made by `vcc backup`
    file: PathBuf,
}

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let done = backup::restore(&self.state, &self.file, self.replace, Clock::System.now()).await;
        let restored = done.map_err(|error| match error.kind() {
            Kind::Taken => Failure::Rejected(error, "--replace moves it aside"),
            _ => refusal(error),
        })?;
        let manifest = &restored.manifest;
        let told = json!({ "state": self.state, "manifest": manifest, "replaced": restored.replaced });
        call.output.result(&told, || {
            let mut text = format!(
                "{}: the state of {} as it was at {}\n",
                self.state.display(),
                manifest.instance,
                manifest.made,
            );
            if let Some(path) = &restored.replaced {
                text.push_str(&format!("the former state is {}\n", path.display()));
            }
            text
        })
    }
}
