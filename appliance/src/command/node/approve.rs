//! `vcc node approve`.

use clap::Args;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Connector, Failure, Resource, Result, confirm, text};

/// Take a node in whose fingerprint was compared
///
/// The fingerprint that the node shows (`vcc node join`, `vcc status`) is either given, or compared when asked.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Its name or id
    node: String,
    /// The fingerprint that the node shows; without it, the one that came here is shown and asked about
    #[arg(value_name = "FINGERPRINT", id = "key")]
    fingerprint: Option<String>,
    /// The node whose place it takes, by name or id: what was wanted of that is wanted of this, and that is sent away
    #[arg(long, value_name = "NODE")]
    replaces: Option<String>,
}

impl Arguments {
    pub(super) async fn run(self, call: &Call, mut connector: Connector) -> Result<()> {
        let waits = |node: &Value| node["state"] == "PENDING";
        let found = Resource::NODE
            .find_where(&mut connector, &self.node, waits)
            .await?;
        let path = format!("{}/approve", Resource::NODE.path_of(&found)?);
        let replaced = match &self.replaces {
            Some(name) => {
                let was_taken_in = |node: &Value| !waits(node) && node["state"] != "REVOKED";
                let other = Resource::NODE.find_where(&mut connector, name, was_taken_in);
                Some(other.await?["id"].take())
            }
            None => None,
        };
        let fingerprint = match self.fingerprint {
            Some(fingerprint) => fingerprint,
            None => {
                let question = format!(
                    "The key of node {} ({}) has the fingerprint\n  {}\nDoes the node show the same one?",
                    text(&found, "name"),
                    text(&found, "id"),
                    text(&found, "fingerprint")
                );
                if !confirm(
                    &question,
                    "vcc node approve NODE FINGERPRINT says what the node shows",
                )? {
                    return Err(Failure::refused(
                        Resource::NODE.told(&found),
                        "is not taken in",
                        "vcc node revoke sends it away",
                    ));
                }
                found["fingerprint"].as_str().unwrap_or_default().to_owned()
            }
        };
        let mut approval = json!({ "fingerprint": fingerprint });
        if let Some(replaced) = replaced {
            approval["replaces"] = replaced;
        }
        let taken = connector.post(&path, &approval).await?;
        call.output
            .result(&taken, || Resource::NODE.done("approved", &taken))
    }
}
