//! `vcc bundle`.

mod bring;
mod create;
mod show;

use std::path::Path;

use clap::Subcommand;

use super::Call;
use crate::admin::{Failure, Result};
use crate::bundle::{Bundle, Key};
use crate::error::{Error, Kind};

/// Carry a version by hand to where no connection leads, in one sealed file
///
/// A server grants it as any transfer, with --route carried. The source node's bundle goes to the destination node with a person, who
/// brings the receipt back. The destination asks and verifies what it does of every transfer.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    Create(create::Create),
    Show(show::Show),
    Bring(bring::Bring),
}

const EXAMPLES: &str = "\
Example, from the node east to the node west:
  vcc transfer create east:images/web west --route carried      at the server; it shows the transfer's ID
  vcc transfer grant ID -o web.grant
  vcc bundle create web.bundle --grant web.grant --key-file web.key      at the source
  vcc bundle bring web.bundle --key-file web.key --receipt web.receipt   at the destination
  vcc transfer receipt web.receipt      at the server

The key opens the bundle: let it travel on another way.";

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        match self {
            Self::Create(create) => create.run(call).await,
            Self::Show(show) => show.run(call),
            Self::Bring(bring) => bring.run(call).await,
        }
    }
}

fn stopped(bundle: String) -> Failure {
    Failure::interrupted(
        bundle,
        "was stopped, and what came is kept",
        "the same command goes on where it ended",
    )
}

fn open(bundle: &Path, key: &Path) -> Result<Bundle> {
    let key = Key::read(key)?;
    Bundle::open(bundle, &key).map_err(unopened)
}

/// What is wrong with a bundle is its own fault, and no failure to read it.
fn unopened(error: Error) -> Failure {
    match error.kind() {
        Kind::Mismatch | Kind::Incomplete | Kind::Malformed => Failure::Rejected(
            error,
            "compare key and bundle with those that were made: vcc bundle create makes them anew",
        ),
        _ => error.into(),
    }
}
