//! `vcc audit`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Connector, Failure, Progress, Result, Table};
use crate::audit::{Backwards, Entry};
use crate::error::{Error, Kind};

const PATH: &str = "/api/v1/audit";
const PAGE: usize = 500;

/// See who did what
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Examples:\n  vcc audit list --limit 20\n  vcc audit verify\n  vcc audit verify --number 120 --digest 9F...    it was so when I looked last"
)]
pub(super) enum Verb {
    /// List entries, the newest first
    List {
        /// The newest entries alone; all if not given
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
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

impl Verify {
    async fn run(self, call: &Call, mut connector: Connector) -> Result<()> {
        let (mut log, mut newest, mut noted) = (Backwards::default(), None, None);
        let mut progress = Progress::default();
        let mut take = |some: Vec<Value>| {
            for entry in some {
                let malformed = |error| {
                    Error::new(Kind::Malformed, "the audit log", "has an entry that is none").because(error)
                };
                let entry: Entry = serde_json::from_value(entry).map_err(malformed)?;
                let (number, digest) = (entry.number, entry.digest.clone());
                log.follow(entry).map_err(broken)?;
                if self.number == Some(number) {
                    noted = Some(digest.clone());
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
        if let (Some(number), Some(digest)) = (self.number, &self.digest)
            && !noted.is_some_and(|noted| noted.eq_ignore_ascii_case(digest))
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
