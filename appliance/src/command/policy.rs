//! `vcc policy`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::Call;
use crate::admin::{Output, Result, Table, whose};
use crate::error::{Error, Kind};
use crate::file;

const STANDARD_INPUT: &str = "-";
/// The longest document in bytes: the connector takes no longer request.
const LIMIT: usize = 64 << 10;

/// To people, too: it is kept by redirection, and set as it is.
const JSON: Output = Output { json: true };

/// See to what is asked of packages, beside a signature that leads to a certificate that is believed
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    /// Show what is asked, as JSON, which 'set' takes; and its revision
    Show {
        /// Whose: a tenant's name or id, or 'provider'; your own if not given
        tenant: Option<String>,
    },
    /// Allow that a version comes from another node once, although it is older than one that was here
    AllowDowngrade {
        /// CATALOG/ITEM
        item: String,
        /// The version
        version: String,
        /// Whose: a tenant's name or id, or 'provider'; your own if not given
        tenant: Option<String>,
        /// Take the permission back
        #[arg(long)]
        not: bool,
    },
    /// List the older versions that are allowed, and did not come yet
    Downgrades {
        /// Whose: a tenant's name or id, or 'provider'; your own if not given
        tenant: Option<String>,
    },
    /// Ask what a file says from now on, in the place of all that was asked
    Set {
        /// A JSON object ('-': standard input); what is not in it is as by default
        file: PathBuf,
        /// Whose: a tenant's name or id, or 'provider'; your own if not given
        tenant: Option<String>,
        /// Only if it still is at this revision; otherwise it is the one that is read first
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
    },
}

const EXAMPLES: &str = "\
Examples:
  vcc policy show acme
  vcc policy show > policy.json; vi policy.json; vcc policy set policy.json --revision 3
  vcc policy allow-downgrade images/web 1.3.0 acme
  echo '{\"signer\": \"any\", \"min_key_bits\": 3072}' | vcc policy set - acme

signer (trusted, any or none), pins, min_key_bits, revocation_lists (PEM), require_revocation_list, revocation_list_max_age (seconds)
and tolerances (rules that are waived).";

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        match self {
            Self::Show { tenant } => {
                let mut connector = call.connector().await?;
                let tenant = whose(&mut connector, tenant.as_deref()).await?;
                let (policy, revision) = connector.get_revised(&path(&tenant)).await?;
                call.output
                    .remark(&format!("policy of {tenant}, revision {revision}"));
                JSON.result(&policy, String::new)
            }
            Self::Set {
                file,
                tenant,
                revision,
            } => {
                let policy = read(&file)?;
                let mut connector = call.connector().await?;
                let tenant = whose(&mut connector, tenant.as_deref()).await?;
                let set = connector.replace(&path(&tenant), revision, &policy).await?;
                JSON.result(&set, String::new)
            }
            Self::AllowDowngrade {
                item,
                version,
                tenant,
                not,
            } => {
                let mut connector = call.connector().await?;
                let tenant = whose(&mut connector, tenant.as_deref()).await?;
                let path = format!("{}/downgrades", path(&tenant));
                let (catalog, item) = item
                    .split_once('/')
                    .ok_or_else(|| Error::new(Kind::Malformed, &*item, "is no CATALOG/ITEM"))?;
                let wish = json!({ "catalog": catalog, "item": item, "version": version });
                if not {
                    connector
                        .delete(&format!("{path}/{catalog}/{item}/{version}"))
                        .await?;
                    call.output.remark("it is not allowed any more");
                    return Ok(());
                }
                let allowed = connector.make(&path, &wish).await?;
                call.output.result(&allowed, || "it may come once\n".to_owned())
            }
            Self::Downgrades { tenant } => {
                let mut connector = call.connector().await?;
                let tenant = whose(&mut connector, tenant.as_deref()).await?;
                let allowed = connector.get(&format!("{}/downgrades", path(&tenant))).await?;
                let columns = [
                    ("CATALOG", "catalog"),
                    ("ITEM", "item"),
                    ("VERSION", "version"),
                    ("BY", "actor"),
                ];
                let rows = allowed.as_array().map(Vec::as_slice).unwrap_or_default();
                let table = Table::of(rows, &columns);
                call.output.result(&allowed, || table.to_string())
            }
        }
    }
}

fn path(tenant: &str) -> String {
    format!("/api/v1/policies/{tenant}")
}

fn read(path: &Path) -> Result<Value> {
    let bytes = match path == Path::new(STANDARD_INPUT) {
        false => file::read(path, LIMIT)?,
        true => {
            let mut bytes = Vec::new();
            let most = u64::try_from(LIMIT).unwrap_or(u64::MAX);
            let read = std::io::stdin().lock().take(most).read_to_end(&mut bytes);
            read.map_err(|error| Error::new(Kind::Io, "standard input", "cannot be read").because(error))?;
            bytes
        }
    };
    let policy: Map<String, Value> = serde_json::from_slice(&bytes).map_err(|error| {
        let place = path.display().to_string();
        Error::new(Kind::Malformed, place, "is no JSON object").because(error)
    })?;
    Ok(policy.into())
}
