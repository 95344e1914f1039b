//! Files on their way to a version that was announced, and the verdict on it.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;
use tokio::time::sleep;

use super::outgoing::Outgoing;
use crate::admin::{Connector, Failure, Meter, Output, Progress, Result, Retry};
use crate::catalog::State;
use crate::error::{Error, Kind};
use crate::http::percent::encoded;

/// Between two looks at a version that is being judged.
const PAUSE: Duration = Duration::from_millis(500);

/// Files that are brought.
pub(in crate::command) struct Delivery {
    pub(in crate::command) connector: Connector,
    output: Output,
    pub(super) files: Vec<Outgoing>,
    /// How much of each the connector is known to have.
    confirmed: Vec<u64>,
    /// What the version is called before people.
    name: String,
}

impl Delivery {
    /// Nothing was sent yet.
    pub(in crate::command) fn new(
        connector: Connector,
        output: Output,
        files: Vec<Outgoing>,
        name: &str,
    ) -> Self {
        Self {
            connector,
            output,
            confirmed: vec![0; files.len()],
            files,
            name: name.to_owned(),
        }
    }

    /// Sends what is missing and waits for the verdict, over connections that break.
    pub(in crate::command) async fn follow(&mut self, path: &str) -> Result<Value> {
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
}

/// How far a version is.
pub(super) fn state(version: &Value) -> Result<State> {
    let state = serde_json::from_value(version["state"].clone());
    let wrong = |error| Error::new(Kind::Malformed, "the connector's answer", "has no state").because(error);
    Ok(state.map_err(wrong)?)
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
