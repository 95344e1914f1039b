//! `vcc cloud`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Resource, Result, Table, text};

/// See how clouds are, by their nodes
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List clouds
    List,
    /// Show a cloud, with its nodes
    Show {
        /// Its name or id
        cloud: String,
    },
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::List => {
                let clouds = Resource::CLOUD.list(&mut connector, None).await?;
                let columns = [("NAME", "name"), ("CREATED", "created"), ("ID", "id")];
                let table = Table::of(&clouds, &columns);
                call.output.result(&Value::from(clouds), || table.to_string())
            }
            Self::Show { cloud } => {
                let found = Resource::CLOUD.find(&mut connector, &cloud).await?;
                let path = format!("{}/status", Resource::CLOUD.path_of(&found)?);
                let status = connector.get(&path).await?;
                let shown = json!({ "cloud": found, "status": status });
                call.output.result(&shown, || told(&shown))
            }
        }
    }
}

fn told(shown: &Value) -> String {
    let nodes = shown["status"]["nodes"].as_array();
    let columns = [
        ("NODE", "name"),
        ("STATE", "state"),
        ("STATUS", "status"),
        ("SEEN", "seen"),
        ("ID", "id"),
    ];
    let table = Table::of(nodes.map(Vec::as_slice).unwrap_or_default(), &columns);
    let line = |name: &str, field: &str| format!("{name:8} {}\n", text(shown, field));
    [
        line("cloud", "cloud.name"),
        line("id", "cloud.id"),
        line("created", "cloud.created"),
        line("status", "status.status"),
        line("seen", "status.seen"),
        format!("\n{table}"),
    ]
    .concat()
}
