//! Files that are taken over connections that break.

use std::path::PathBuf;

use super::part::Part;
use crate::admin::{Connector, Failure, Meter, Output, Result, Retry};
use crate::digest::Digest;
use crate::error::{Error, Kind};

/// A file that is wanted.
pub(in crate::command) struct Wanted {
    /// Where the connector has it.
    pub(in crate::command) path: String,
    /// Where it goes.
    pub(in crate::command) name: PathBuf,
    pub(in crate::command) bytes: u64,
    pub(in crate::command) digest: Digest,
}

/// What this machine refuses, and what to do about it.
pub(super) fn refusal(error: Error) -> Failure {
    match error.kind() {
        Kind::Taken => Failure::Rejected(error, "--force replaces it; -o names another place"),
        _ => error.into(),
    }
}

/// Takes all files; none has its name before all are there.
pub(in crate::command) async fn take(
    connector: &mut Connector,
    output: Output,
    wanted: &[Wanted],
) -> Result<Vec<Part>> {
    let mut taken = Vec::new();
    for file in wanted {
        let mut part = Part::open(&file.name, file.bytes, file.digest).map_err(refusal)?;
        part.look(&Meter::new(&shown("reading", file), file.bytes, output.json))?;
        let mut retry = Retry::default();
        while !part.is_right() {
            match fetch(connector, output, file, &mut part).await {
                Ok(()) if part.is_right() => {}
                Ok(()) if part.is_old() => {
                    output.remark(&format!(
                        "{}: what was there is of another file, and comes anew",
                        file.name.display()
                    ));
                    part.begin_at(0)?;
                }
                Ok(()) => {
                    part.discard()?;
                    let reason = format!(
                        "came whole, and has not the SHA-256 {} that was told",
                        file.digest
                    );
                    let error = Error::new(Kind::Mismatch, file.name.display().to_string(), reason);
                    return Err(Failure::Rejected(error, "nothing is kept of it: try again"));
                }
                Err(failure) if failure.is_passing() => {
                    retry.after(failure, part.written(), output).await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        taken.push(part);
    }
    Ok(taken)
}

/// Takes what is missing of a file over one connection.
async fn fetch(connector: &mut Connector, output: Output, file: &Wanted, part: &mut Part) -> Result<()> {
    if part.is_whole() {
        return Ok(());
    }
    // A published file's entity tag is its digest.
    let tag = format!("\"sha256-{}\"", file.digest);
    let mut download = connector.download(&file.path, part.written(), &tag).await?;
    part.begin_at(download.from)?;
    let meter = Meter::new(&shown("taking", file), file.bytes, output.json);
    meter.begin_at(part.written());
    while let Some(bytes) = download.next().await? {
        part.write(&bytes)?;
        meter.add(bytes.len());
    }
    match part.is_whole() {
        true => Ok(()),
        false => {
            let reason = "the file ended before it was whole";
            Err(Error::new(Kind::Unreachable, file.name.display().to_string(), reason).into())
        }
    }
}

fn shown(what: &str, file: &Wanted) -> String {
    let name = file.name.file_name().unwrap_or_default();
    format!("{what} {}", name.to_string_lossy())
}
