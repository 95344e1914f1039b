//! `vcc push`.

mod files;
mod outgoing;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::Call;
use crate::admin::{
    Connector, Failure, ItemName, Meter, Output, Progress, Resource, Result, Retry, findings, text, version,
};
use crate::catalog::State;
use crate::error::{Error, Kind};
use crate::http::percent::encoded;
use files::{Sort, collect};
use outgoing::Outgoing;

/// Between two looks at a version that is being judged.
const PAUSE: Duration = Duration::from_millis(500);

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
            connector: call.connector().await?,
            output: call.output,
            confirmed: vec![0; files.len()],
            files,
            name,
        };
        let announced = push.announce(&self.item, &self.version, sort).await?;
        let path = Resource::VERSION.path_of(&announced)?;
        let failed = |error| Error::new(Kind::Io, "SIGINT", "can't be waited for").because(error);
        let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
        let followed = tokio::select! {
            followed = push.follow(&path) => Some(followed),
            _ = interrupted.recv() => None,
        };
        match followed {
            Some(Ok(version)) => push.tell(&version),
            Some(Err(failure)) => {
                if failure.is_passing() {
                    push.output
                        .remark("what came is kept: the same command goes on with it");
                }
                Err(failure)
            }
            None => Err(push.stopped()),
        }
    }
}

/// A version that is brought.
struct Push {
    connector: Connector,
    output: Output,
    files: Vec<Outgoing>,
    /// How much of each the connector is known to have.
    confirmed: Vec<u64>,
    /// What it is called before people.
    name: String,
}

impl Push {
    /// Announces it; one that is on its way already, or came, is gone on with if its files are the same.
    async fn announce(&mut self, item: &ItemName, label: &str, sort: Sort) -> Result<Value> {
        let catalog = item.catalog.as_deref().unwrap_or_default();
        let catalog = Resource::CATALOG.find(&mut self.connector, catalog).await?;
        if let Some(found) = item.look_in(&mut self.connector, &catalog).await? {
            match version(&mut self.connector, &found, label).await {
                Ok(version) if state(&version)? != State::Rejected => {
                    self.agree(&version, &found, sort)?;
                    return Ok(version);
                }
                Ok(_) | Err(Failure::Refused(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        let files = self
            .files
            .iter()
            .map(|file| json!({ "name": file.name, "bytes": file.bytes }));
        let new = json!({
            "item": item.item, "kind": sort.as_str(), "version": label, "files": files.collect::<Vec<_>>(),
        });
        let path = format!("{}/versions", Resource::CATALOG.path_of(&catalog)?);
        self.connector.make(&path, &new).await
    }

    /// Sees that what is there is what is brought, as far as names and lengths tell.
    fn agree(&self, version: &Value, item: &Value, sort: Sort) -> Result<()> {
        let theirs = announced(version);
        let mut ours: Vec<_> = self
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

    /// Sends what is missing and waits for the verdict, over connections that break.
    async fn follow(&mut self, path: &str) -> Result<Value> {
        let mut retry = Retry::default();
        loop {
            match self.bring(path).await {
                Ok(version) => return Ok(version),
                // It goes on elsewhere, or is still received over the connection that broke.
                Err(failure) if failure.is_passing() || failure.has_status(StatusCode::CONFLICT) => {
                    let done = self.confirmed.iter().sum();
                    retry.after(failure, done, self.output).await?;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The same over one connection, as long as that lasts.
    async fn bring(&mut self, path: &str) -> Result<Value> {
        let mut progress = Progress::default();
        loop {
            let version = self.connector.get(path).await?;
            match state(&version)? {
                State::Receiving => self.send(path, &version).await?,
                State::Verifying => {
                    if !self.output.json {
                        progress.tell(&format!("{} is there, and is being judged", self.name));
                    }
                    sleep(PAUSE).await;
                }
                State::Published => {
                    self.compare(&version).await?;
                    return Ok(version);
                }
                State::Rejected => return Ok(version),
            }
        }
    }

    /// Sends the files of which not all is there.
    async fn send(&mut self, path: &str, version: &Value) -> Result<()> {
        let json = self.output.json;
        for (index, file) in self.files.clone().iter().enumerate() {
            if digest_of(version, &file.name).is_some() {
                self.confirm(index, file.bytes);
                continue;
            }
            let path = format!("{path}/files/{}", encoded(&file.name));
            let received = self.connector.received(&path).await?;
            self.confirm(index, received);
            // All of it came, and was not closed as the connection broke: only what comes anew is.
            let from = if received < file.bytes { received } else { 0 };
            file.catch_up(from, json).await?;
            let meter = Meter::new(&format!("sending {}", file.name), file.bytes, json);
            let rest = file.rest(from, meter);
            let told = self.connector.upload(&path, (from, file.bytes), rest).await?;
            self.confirm(index, file.bytes);
            same(file, told["digest"].as_str(), json).await?;
        }
        Ok(())
    }

    fn confirm(&mut self, index: usize, bytes: u64) {
        if let Some(confirmed) = self.confirmed.get_mut(index) {
            *confirmed = bytes;
        }
    }

    /// Sees that what is published is what is here.
    async fn compare(&self, version: &Value) -> Result<()> {
        for file in &self.files {
            same(file, digest_of(version, &file.name), self.output.json).await?;
        }
        Ok(())
    }

    fn tell(&self, version: &Value) -> Result<()> {
        let (state, id) = (text(version, "state"), text(version, "id"));
        self.output.result(version, || {
            format!("{state}: {} ({id})\n{}", self.name, findings(version))
        })?;
        match version["state"] == State::Published.as_str() {
            true => Ok(()),
            false => Err(Failure::Unpublished(self.name.clone())),
        }
    }

    fn stopped(&self) -> Failure {
        Failure::interrupted(
            self.name.as_str(),
            "was stopped, and what came is kept",
            "the same command goes on where it ended, within a week; vcc catalog remove gives it up",
        )
    }
}

fn state(version: &Value) -> Result<State> {
    let state = serde_json::from_value(version["state"].clone());
    let wrong = |error| Error::new(Kind::Malformed, "the connector's answer", "has no state").because(error);
    Ok(state.map_err(wrong)?)
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

fn digest_of<'a>(version: &'a Value, name: &str) -> Option<&'a str> {
    let mut files = version["files"].as_array().into_iter().flatten();
    files.find(|file| file["name"] == name)?["digest"].as_str()
}

/// Sees that what the connector has is the file that is here.
async fn same(file: &Outgoing, theirs: Option<&str>, json: bool) -> Result<()> {
    let ours = file.digest(json).await?.to_string();
    match theirs {
        Some(theirs) if theirs == ours => Ok(()),
        _ => {
            let reason = format!("has SHA-256 {ours}, and the connector has another file of that name");
            Err(Failure::Rejected(
                Error::new(Kind::Mismatch, file.name.clone(), reason),
                "it changed on its way, or the version is another one: vcc catalog remove takes that away",
            ))
        }
    }
}
