//! `vcc support-bundle`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::time::timeout;

use super::Call;
use crate::admin::{Failure, Result};
use crate::digest::{hex, sha256};
use crate::error::{Error, Kind};
use crate::file::{self, PrivateFile};

const PATH: &str = "/api/v1/support-bundle";
/// What the file is called where the connector doesn't say.
const NAME: &str = "support-bundle.tar.gz";
const STANDARD_OUTPUT: &str = "-";
/// The largest bundle in bytes.
const LIMIT: usize = 64 << 20;
/// After how long a person is told what it waits for.
const SOON: Duration = Duration::from_secs(1);

/// Fetch what somebody who helps has to know about the connector, in one file
///
/// A tar file (gzip) with checks, the network, settings, the newest entries of the audit log and the ends of the logs. Keys,
/// passwords and tokens are not in it. It takes an administrator of the provider, and the audit log tells of it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Where it goes ('-': standard output); as the connector calls it, in this folder, if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  vcc support-bundle
  vcc support-bundle -o /tmp/node-a.tar.gz --json
  vcc support-bundle -o - | tar -tz

The file is for its owner alone, and is there whole or not at all.";

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let is_piped = self.output.as_deref() == Some(Path::new(STANDARD_OUTPUT));
        if is_piped {
            may_print(call.output.json)?;
        }
        // What can't be kept is not fetched.
        let given = self.output.as_deref().filter(|_| !is_piped);
        let given = given.map(|path| self.begin(path)).transpose()?;
        let mut connector = call.connector().await?;
        let (name, bytes) = {
            let mut fetched = pin!(connector.fetch(PATH, LIMIT));
            match timeout(SOON, &mut fetched).await {
                Ok(fetched) => fetched?,
                Err(_) => {
                    call.output.remark("the connector makes the bundle");
                    fetched.await?
                }
            }
        };
        if is_piped {
            return print(&bytes);
        }
        let path = self.output.clone();
        let path = path.unwrap_or_else(|| PathBuf::from(name.as_deref().unwrap_or(NAME)));
        let file = match given {
            Some(file) => file,
            None => self.begin(&path)?,
        };
        let kept = match self.force {
            true => file.keep(&bytes),
            false => file.keep_new(&bytes),
        };
        kept.map_err(refusal)?;
        let told = json!({ "file": path, "bytes": bytes.len(), "sha256": hex(&sha256(&bytes)) });
        call.output.result(&told, || {
            format!("{}: {} bytes, for whoever helps\n", path.display(), bytes.len())
        })
    }

    /// Begins the file, unless one is there that stays.
    fn begin(&self, path: &Path) -> Result<PrivateFile> {
        if !self.force {
            file::demand_new(path).map_err(refusal)?;
        }
        Ok(PrivateFile::create(path)?)
    }
}

fn refusal(error: Error) -> Failure {
    match error.kind() {
        Kind::Taken => Failure::Rejected(error, "--force replaces it; -o FILE names another"),
        _ => error.into(),
    }
}

/// Sees that standard output is free for the bundle.
fn may_print(json: bool) -> Result<()> {
    let wrong = |reason: &str| Failure::usage("standard output", reason, "-o FILE writes it into a file");
    match (json, io::stdout().is_terminal()) {
        (true, _) => Err(wrong("is for the bundle or for JSON, and not for both")),
        (false, true) => Err(wrong("is a terminal, and the bundle is no text")),
        (false, false) => Ok(()),
    }
}

/// A reader that went away has half of it, and is told.
fn print(bytes: &[u8]) -> Result<()> {
    let mut output = io::stdout().lock();
    let written = output.write_all(bytes).and_then(|()| output.flush());
    let failed = |error| Error::new(Kind::Io, "standard output", "cannot be written").because(error);
    Ok(written.map_err(failed)?)
}
