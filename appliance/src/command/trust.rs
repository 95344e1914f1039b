//! `vcc trust`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{PROVIDER, Resource, Result, Table, details, may_go_on, whose};
use crate::clock::Moment;
use crate::error::{Error, Kind};
use crate::file;

/// The longest file in bytes.
const LIMIT: usize = 32 << 10;

/// See to whom a tenant believes: certificates that the signatures of packages have to lead to
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    /// List the certificates that are believed
    List,
    /// Show a certificate that is believed
    Show {
        /// Its name or id
        certificate: String,
    },
    /// Believe an authority's certificate, or a publisher's own
    Add {
        /// One certificate, PEM
        file: PathBuf,
        /// What it is to be called
        #[arg(long)]
        name: String,
        /// Who believes it: a tenant's name or id; your own tenant, or the provider, if not given
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Believe a certificate no more; what was published under it stays
    Remove {
        /// Its name or id
        certificate: String,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  vcc trust add ca.pem --name publisher
  vcc trust add ca.pem --name publisher --tenant acme
  vcc trust list

Who names nobody has every package refused; vcc policy says what is asked beside that.";

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::List => {
                let mut roots = Resource::ROOT.list(&mut connector, None).await?;
                if call.output.json {
                    return call.output.result(&Value::from(roots), String::new);
                }
                roots.iter_mut().for_each(date);
                let columns = [
                    ("NAME", "name"),
                    ("SUBJECT", "subject"),
                    ("UNTIL", "not_after"),
                    ("TENANT", "tenant"),
                    ("FINGERPRINT", "fingerprint"),
                    ("ID", "id"),
                ];
                let table = Table::of(&roots, &columns);
                call.output.result(&Value::Null, || table.to_string())
            }
            Self::Show { certificate } => {
                let found = Resource::ROOT.find(&mut connector, &certificate).await?;
                call.output.result(&found, || told(&found))
            }
            Self::Add { file, name, tenant } => {
                let wrong = || Error::new(Kind::Malformed, file.display().to_string(), "is not PEM");
                let pem = String::from_utf8(file::read(&file, LIMIT)?).map_err(|_| wrong())?;
                let mut new = json!({ "name": name, "certificate": pem });
                if let Some(tenant) = tenant {
                    let tenant = whose(&mut connector, Some(&tenant)).await?;
                    if tenant != PROVIDER {
                        new["tenant"] = tenant.into();
                    }
                }
                let made = connector.make(Resource::ROOT.path, &new).await?;
                call.output.result(&made, || told(&made))
            }
            Self::Remove { certificate, yes } => {
                let found = Resource::ROOT.find(&mut connector, &certificate).await?;
                may_go_on(yes, &Resource::ROOT.question("Believe no more", &found))?;
                connector.delete(&Resource::ROOT.path_of(&found)?).await?;
                call.output
                    .result(&found, || Resource::ROOT.done("believed no more", &found))
            }
        }
    }
}

/// Seconds since 1970 as people read them.
fn date(root: &mut Value) {
    let moment = root["not_after"]
        .as_i64()
        .and_then(|seconds| seconds.checked_mul(1000));
    if let Some(moment) = moment {
        root["not_after"] = serde_json::to_value(Moment(moment)).unwrap_or_default();
    }
}

/// A certificate for people; its text is for programs.
fn told(root: &Value) -> String {
    let mut shown = root.clone();
    date(&mut shown);
    if let Some(fields) = shown.as_object_mut() {
        fields.shift_remove("certificate");
    }
    details(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_with_a_date_and_without_its_text() {
        let root = json!({ "name": "a", "not_after": 1_764_000_000, "certificate": "-----BEGIN" });
        assert_eq!(told(&root), "name       a\nnot_after  2025-11-24T16:00:00Z\n");
        assert!(told(&json!({ "not_after": i64::MAX })).contains(&i64::MAX.to_string()));
    }
}
