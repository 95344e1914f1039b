//! `vcc backup`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Call;
use crate::admin::{Failure, Result};
use crate::backup;
use crate::clock::Clock;
use crate::error::{Error, Kind};

/// Write the state of a server or node to a file, while its service runs
///
/// The file holds the connector's private keys, hashes of passwords and digests of tokens, and is not encrypted: keep it as you keep
/// those. Run this as the service's user.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vcc backup --state /var/lib/vcc-server /backup/server-2026-01-02.tar
  sudo -u vcc-node vcc backup --state /var/lib/vcc-node /backup/node.tar --json

`vcc restore` puts it back. Logs, and what belongs to the machine, are not in it.

Exit codes:
  0  done
  1  refused: a state that is damaged or not there, or a FILE that is there already
  2  wrong usage, or a file that can't be read or written")]
pub(super) struct Arguments {
    /// The state directory of a server or node; its service may run meanwhile
    #[arg(long, value_name = "DIR")]
    state: PathBuf,

    /// The backup: a new file, for its owner alone, which is there whole or not at all
    file: PathBuf,
}

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let saved = backup::save(&self.state, &self.file, Clock::System.now()).await;
        let manifest = saved.map_err(refusal)?;
        let told = json!({ "file": self.file, "manifest": manifest });
        call.output.result(&told, || {
            format!(
                "{}: the state of {}; it holds keys and is not encrypted\n",
                self.file.display(),
                manifest.instance,
            )
        })
    }
}

/// Whose fault it is: the backup's or the state's, or the disk's.
pub(super) fn refusal(error: Error) -> Failure {
    let hint = match error.kind() {
        Kind::Io | Kind::StateFull | Kind::StateReadOnly | Kind::Database => return error.into(),
        Kind::StateMissing => "name the state directory of a server or node",
        Kind::StateOwner => {
            "run this as the user whose state it is: sudo -u vcc-server, or sudo -u '#NUMBER'"
        }
        Kind::StateLocked => "stop the service first",
        Kind::Taken => "name a file that is not there yet",
        Kind::Changed => "try again when the restore is done",
        Kind::Identity | Kind::StateCorrupt => "an older backup may be whole",
        _ => "is this a backup, and the whole of it?",
    };
    Failure::Rejected(error, hint)
}
