//! How much room a tenant may take.

use clap::Args;
use serde_json::{Value, json};

use crate::admin::{Connector, Result, bytes, number, whose};
use crate::command::Call;

/// Show how much room a tenant may take, and takes; or set it, as the provider
#[derive(Debug, Args)]
pub(in crate::command) struct Quota {
    /// A tenant's name or id, or 'provider'
    tenant: String,
    /// The most bytes, also as 500GiB; 'none' for as much as the disk has
    #[arg(value_name = "BYTES|none", value_parser = limit)]
    quota: Option<Limit>,
    /// Only if it still is at this revision
    #[arg(long, value_name = "N", requires = "quota")]
    revision: Option<u64>,
}

/// The most bytes, if there is a most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Option<u64>);

fn limit(text: &str) -> Result<Limit, &'static str> {
    match text {
        "none" => Ok(Limit(None)),
        text => number(text).map(|all| Limit(Some(all))),
    }
}

impl Quota {
    pub(super) async fn run(self, call: &Call, connector: &mut Connector) -> Result<()> {
        let tenant = whose(connector, Some(&self.tenant)).await?;
        let path = format!("/api/v1/quotas/{tenant}");
        let room = match self.quota {
            Some(Limit(quota)) => {
                let wanted = json!({ "quota": quota });
                connector.replace(&path, self.revision, &wanted).await?
            }
            None => connector.get(&path).await?,
        };
        call.output.result(&room, || told(&room))
    }
}

fn told(room: &Value) -> String {
    let quota = match room["quota"].as_u64() {
        Some(quota) => bytes(quota),
        None => "none".to_owned(),
    };
    let taken = bytes(room["bytes"].as_u64().unwrap_or_default());
    let versions = room["versions"].as_u64().unwrap_or_default();
    format!("quota     {quota}\ntaken     {taken}\nversions  {versions}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_read_with_its_unit_and_nothing_else_is_one() {
        for (text, quota) in [
            ("none", None),
            ("0", Some(0)),
            ("1000", Some(1000)),
            ("2KiB", Some(2048)),
            ("500GiB", Some(500 << 30)),
        ] {
            assert_eq!(limit(text), Ok(Limit(quota)), "{text}");
        }
        for bad in [
            "",
            "KiB",
            "-1",
            "1 GiB",
            "1GB",
            "1.5GiB",
            "9999999999999TiB",
            "8388608TiB",
        ] {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }
}
