//! `vcc push`.

mod delivery;
mod files;
mod outgoing;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Failure, ItemName, Output, Resource, Result, findings, or_interrupted, text, version};
use crate::catalog::State;
use delivery::state;
use files::{Sort, collect};

pub(super) use delivery::Delivery;
pub(super) use outgoing::Outgoing;

/// Bring a version of a package or a file to a node's catalog
///
/// The item and the version come first, as with every verb, then the files: an .ova; an .ovf, with which go the files that it
/// names; or files of whatever kind. An item that is not there is made.
///
/// The node judges what came by what the tenant believes. It is PUBLISHED, or REJECTED with each check that failed. What breaks off
/// goes on by itself where it ended; and if it is stopped, with the same command.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Where it goes
    #[arg(value_name = "CATALOG/ITEM", value_parser = ItemName::whole)]
    item: ItemName,
    /// What it is called, such as 1.4.0
    version: String,
    /// An .ova, an .ovf, or other files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What it is; by the file's name if not given
    #[arg(long)]
    kind: Option<Sort>,
}

const EXAMPLES: &str = "\
Examples:
  vcc push images/web 1.4.0 web.ova
  vcc push images/db 2.0~rc1 out/db.ovf         with db.mf, db.cert and its disks
  vcc push images/tools 7 tools.iso README
  vcc push images/web 1.4.0 web.ova --json      the version, with what was found; exit code 1 if it was refused";

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let (sort, files) = collect(&self.files, self.kind)?;
        let name = format!("{} {}", self.item, self.version);
        let mut push = Push {
            delivery: Delivery::new(call.connector().await?, call.output, files, &name),
            name,
        };
        let announced = push.announce(&self.item, &self.version, sort).await?;
        let path = Resource::VERSION.path_of(&announced)?;
        match or_interrupted(push.delivery.follow(&path), || stopped(&push.name)).await {
            Ok(version) => push.tell(call.output, &version),
            Err(failure) => {
                if failure.is_passing() {
                    call.output
                        .remark("what came is kept: the same command goes on with it");
                }
                Err(failure)
            }
        }
    }
}

/// A version that is brought.
struct Push {
    delivery: Delivery,
    /// What it is called before people.
    name: String,
}

impl Push {
    /// Announces it; one that is on its way already, or came, is gone on with if its files are the same.
    async fn announce(&mut self, item: &ItemName, label: &str, sort: Sort) -> Result<Value> {
        let catalog = item.catalog.as_deref().unwrap_or_default();
        let catalog = Resource::CATALOG
            .find(&mut self.delivery.connector, catalog)
            .await?;
        if let Some(found) = item.look_in(&mut self.delivery.connector, &catalog).await? {
            match version(&mut self.delivery.connector, &found, label).await {
                Ok(version) if state(&version)? != State::Rejected => {
                    self.agree(&version, &found, sort)?;
                    return Ok(version);
                }
                Ok(_) | Err(Failure::Refused(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        let files = self
            .delivery
            .files
            .iter()
            .map(|file| json!({ "name": file.name, "bytes": file.bytes }));
        let new = json!({
            "item": item.item, "kind": sort.as_str(), "version": label, "files": files.collect::<Vec<_>>(),
        });
        let path = format!("{}/versions", Resource::CATALOG.path_of(&catalog)?);
        self.delivery.connector.make(&path, &new).await
    }

    /// Sees that what is there is what is brought, as far as names and lengths tell.
    fn agree(&self, version: &Value, item: &Value, sort: Sort) -> Result<()> {
        let theirs = announced(version);
        let mut ours: Vec<_> = self
            .delivery
            .files
            .iter()
            .map(|file| (file.name.as_str(), file.bytes))
            .collect();
        ours.sort_unstable();
        if theirs == ours && item["kind"] == sort.as_str() {
            return Ok(());
        }
        let theirs: Vec<_> = theirs
            .iter()
            .map(|(name, bytes)| format!("{name} of {bytes} bytes"))
            .collect();
        let (kind, state) = (text(item, "kind"), text(version, "state"));
        Err(Failure::refused(
            self.name.as_str(),
            format!(
                "is {state} already, a {kind} with other files: {}",
                theirs.join(", ")
            ),
            "another version takes these; vcc catalog remove takes that one away",
        ))
    }

    fn tell(&self, output: Output, version: &Value) -> Result<()> {
        let (state, id) = (text(version, "state"), text(version, "id"));
        output.result(version, || {
            format!("{state}: {} ({id})\n{}", self.name, findings(version))
        })?;
        match version["state"] == State::Published.as_str() {
            true => Ok(()),
            false => Err(Failure::Unpublished(self.name.clone())),
        }
    }
}

fn stopped(name: &str) -> Failure {
    Failure::interrupted(
        name,
        "was stopped, and what came is kept",
        "the same command goes on where it ended, within a week; vcc catalog remove gives it up",
    )
}

/// Names and lengths of a version's files.
fn announced(version: &Value) -> Vec<(&str, u64)> {
    let files = version["files"].as_array().into_iter().flatten();
    let mut files: Vec<_> = files
        .map(|file| {
            let bytes = file["bytes"].as_u64().unwrap_or_default();
            (file["name"].as_str().unwrap_or_default(), bytes)
        })
        .collect();
    files.sort_unstable();
    files
}
