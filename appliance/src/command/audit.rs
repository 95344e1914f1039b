//! `vcc audit`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Connector, Failure, Progress, Result, Table};
use crate::audit::{Backwards, Checkpoint, Entry};
use crate::error::{Error, Kind};
use crate::file;

const PATH: &str = "/api/v1/audit";
const CHECKPOINT: &str = "/api/v1/audit/checkpoint";
const CHECKPOINT_LIMIT: usize = 64 << 10;
const PAGE: usize = 500;

/// See who did what
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  vcc audit list --limit 20\n  vcc audit checkpoint > kept.json          what the log is now, signed\n  vcc audit verify --checkpoint kept.json   nothing before it was changed since\n  vcc audit verify --number 120 --digest 9F..."
)]
pub(super) enum Verb {
    /// List entries, the newest first
    List {
        /// The newest entries alone; all if not given
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Print what the log is now, signed by the connector: keep it elsewhere, and compare later with verify --checkpoint
    ///
    /// It takes a user who sees all entries, of all tenants. The document names what was signed, and how.
    Checkpoint,
    Verify(Verify),
}

/// Fetch the whole log, and see that no entry was changed or taken out
///
/// Each entry's digest covers the one before it. Whoever noted number and digest of an entry sees too that the log was not
/// written anew since. It takes a user who sees all entries, of all tenants.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The number of an entry that was noted before
    #[arg(long, value_name = "N", requires = "digest")]
    number: Option<i64>,
    /// Its digest
    #[arg(long, value_name = "SHA256", requires = "number")]
    digest: Option<String>,
    /// A checkpoint that was kept: its entry has to be there as it was signed, and this connector has to have signed it
    #[arg(long, value_name = "FILE", conflicts_with = "number")]
    checkpoint: Option<PathBuf>,
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::List { limit } => {
                let most = limit.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
                let entries = connector.list(PATH, PAGE, most).await?;
                let columns = [
                    ("NUMBER", "number"),
                    ("AT", "at"),
                    ("ACTOR", "actor"),
                    ("ACTION", "action"),
                    ("OBJECT", "object"),
                    ("OUTCOME", "outcome"),
                ];
                let table = Table::of(&entries, &columns);
                call.output.result(&Value::from(entries), || table.to_string())
            }
            Self::Checkpoint => {
                let checkpoint = connector.get(CHECKPOINT).await?;
                // To people, too: it is kept by redirection, and read again as it is.
                call.output.result(&checkpoint, || format!("{checkpoint:#}\n"))
            }
            Self::Verify(arguments) => arguments.run(call, connector).await,
        }
    }
}

fn broken(error: Error) -> Failure {
    Failure::refused(
        error.place(),
        error.reason(),
        "whoever sees one tenant sees gaps; for all others somebody changed the log",
    )
}

/// An entry as it was when somebody noted it.
struct Noted {
    number: i64,
    digest: String,
}

/// What a checkpoint says, if this connector signed it.
async fn signed(path: &Path, connector: &mut Connector) -> Result<Noted> {
    let place = path.display().to_string();
    let bytes = file::read(path, CHECKPOINT_LIMIT)?;
    let kept: Checkpoint = serde_json::from_slice(&bytes)
        .map_err(|error| Error::new(Kind::Malformed, &place, "is no checkpoint").because(error))?;
    let signer = kept.verify().map_err(|error| {
        Failure::refused(
            &place,
            error.reason(),
            "the file was changed since it was written",
        )
    })?;
    let now: Checkpoint = serde_json::from_value(connector.get(CHECKPOINT).await?).map_err(|error| {
        Error::new(Kind::Malformed, "the connector's checkpoint", "is none").because(error)
    })?;
    if now.verify()? != signer || now.log != kept.log {
        return Err(Failure::refused(
            place,
            format!("is of the log of connector {}, and this is {}", kept.log, now.log),
            "vcc status shows which connector you are logged in to",
        ));
    }
    Ok(Noted {
        number: kept.number,
        digest: kept.digest,
    })
}

impl Verify {
    async fn noted(&self, connector: &mut Connector) -> Result<Option<Noted>> {
        Ok(match (&self.checkpoint, self.number, &self.digest) {
            (Some(path), ..) => Some(signed(path, connector).await?),
            (None, Some(number), Some(digest)) => Some(Noted {
                number,
                digest: digest.clone(),
            }),
            _ => None,
        })
    }

    async fn run(self, call: &Call, mut connector: Connector) -> Result<()> {
        let noted = self.noted(&mut connector).await?;
        let (mut log, mut newest, mut there) = (Backwards::default(), None, None);
        let mut progress = Progress::default();
        let mut take = |some: Vec<Value>| {
            for entry in some {
                let malformed = |error| {
                    Error::new(Kind::Malformed, "the audit log", "has an entry that is none").because(error)
                };
                let entry: Entry = serde_json::from_value(entry).map_err(malformed)?;
                let (number, digest) = (entry.number, entry.digest.clone());
                log.follow(entry).map_err(broken)?;
                if noted.as_ref().is_some_and(|noted| noted.number == number) {
                    there = Some(digest.clone());
                }
                let (all, _) = newest.get_or_insert((number, digest));
                if number % 10_000 == 0 {
                    progress.tell(&format!("{} of {all} entries", *all - number));
                }
            }
            Ok(true)
        };
        connector.pages(PATH, PAGE, &mut take).await?;
        drop(progress);
        log.end().map_err(broken)?;
        if let Some(Noted { number, digest }) = noted
            && !there.is_some_and(|there| there.eq_ignore_ascii_case(&digest))
        {
            return Err(Failure::refused(
                "the audit log",
                format!("entry {number} is not there, or has another digest than was noted"),
                "the log was written anew, or belongs to another connector",
            ));
        }
        let (number, digest) = newest.unwrap_or_default();
        let verified = json!({ "number": number, "digest": digest });
        call.output.result(&verified, || {
            format!("{number} entries, none changed or missing\ndigest of the last: {digest}\n")
        })
    }
}
