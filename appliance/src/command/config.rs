//! `vcc config`.

mod scope;
mod settings;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Connector, Resource, Result, Table, details, may_go_on};
use scope::Scope;
use settings::Change;

/// See to settings: the connector's own, and what a server wants of its nodes
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    /// List what is wanted, of all nodes, of each cloud's and of each node
    List,
    /// Show settings, with their version
    Show {
        /// Whose: own, all, cloud:NAME or node:NAME
        #[arg(default_value = "own")]
        scope: Scope,
    },
    Set(Set),
    /// Want nothing any more; what is wanted of a wider scope holds then
    Delete {
        /// Whose: own, all, cloud:NAME or node:NAME
        scope: Scope,
        /// Only if this still is the version
        #[arg(long, value_name = "N")]
        version: Option<u64>,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
    /// List the versions of what is wanted, the newest first: what, when, and by whom or by what rule
    Versions {
        /// Whose: all, cloud:NAME or node:NAME
        scope: Scope,
        /// So many at most
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Show how far nodes have come: IN_SYNC, PENDING, DRIFTED or REFUSED, and what differs
    Status {
        /// The node's name or id; all nodes if not given
        node: Option<String>,
    },
    /// Have a node follow anew, over what was changed on it
    Apply {
        /// Its name or id
        node: String,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

/// Set settings; those that are not named stay as they are
///
/// The narrower scope wins, setting by setting: a node's before its cloud's, and this before that of all.
#[derive(Debug, Args)]
#[command(override_usage = "vcc config set [OPTIONS] <SCOPE> <NAME=VALUE>...")]
pub(super) struct Set {
    /// Whose: own, all, cloud:NAME or node:NAME
    scope: Scope,
    #[command(flatten)]
    change: Change,
    /// Only if this still is the version; otherwise it is the one that is read first
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// The rule that a program follows with it; goes with a token
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  vcc config set all ntp=ntp1.example.com,ntp2.example.com
  vcc config set cloud:east notice='In maintenance until 10:00'
  vcc config set node:node-a --unset notice --version 3
  vcc config status
  vcc config set all syslog=tcp://collector.example.com:601
  vcc config show own

Settings: notice (a line for whoever comes by), ntp (time servers, separated by commas; none asks none), syslog (a server that
the log is forwarded to; none forwards it nowhere) and, of a node, peer_endpoint (HOST:PORT where other nodes reach it).";

/// Of pages: a version holds all settings.
const PAGE: usize = 100;

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::List => list(call, &mut connector).await,
            Self::Show { scope } => {
                let path = scope.path(&mut connector).await?;
                let found = connector.get(&path).await?;
                call.output.result(&found, || details(&found))
            }
            Self::Set(arguments) => arguments.run(call, &mut connector).await,
            Self::Delete { scope, version, yes } => {
                let path = scope.path(&mut connector).await?;
                may_go_on(yes, &format!("Want nothing any more of {scope}?"))?;
                let version = match version {
                    Some(version) => version,
                    None => scope.version(&connector.get(&path).await?)?,
                };
                let body = scope.body(json!({}), None)?;
                let left = connector.put(&path, version, &body).await?;
                call.output.result(&left, || details(&left))
            }
            Self::Versions { scope, limit } => {
                let path = format!("{}/versions", scope.wanted_path(&mut connector).await?);
                let most = limit.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
                let versions = connector.list(&path, PAGE, most).await?;
                let columns = [
                    ("VERSION", "version"),
                    ("AT", "at"),
                    ("KIND", "kind"),
                    ("ACTOR", "actor"),
                    ("RULE", "rule"),
                    ("SETTINGS", "settings"),
                ];
                let table = Table::of(&versions, &columns);
                call.output.result(&Value::from(versions), || table.to_string())
            }
            Self::Status { node: Some(node) } => {
                let found = Resource::NODE.find(&mut connector, &node).await?;
                let status = status(&mut connector, &found).await?;
                call.output.result(&status, || details(&status))
            }
            Self::Status { node: None } => statuses(call, &mut connector).await,
            Self::Apply { node, yes } => {
                let found = Resource::NODE.find(&mut connector, &node).await?;
                may_go_on(
                    yes,
                    &Resource::NODE.question("Undo what was changed on it", &found),
                )?;
                let path = format!("{}/configuration/apply", Resource::NODE.path_of(&found)?);
                let status = connector.post(&path, &json!({})).await?;
                call.output.result(&status, || details(&status))
            }
        }
    }
}

impl Set {
    async fn run(self, call: &Call, connector: &mut Connector) -> Result<()> {
        let path = self.scope.path(connector).await?;
        let found = connector.get(&path).await?;
        let version = match self.version {
            Some(version) => version,
            None => self.scope.version(&found)?,
        };
        let settings = self.change.of(&found["settings"])?;
        let body = self.scope.body(settings, self.rule)?;
        let changed = connector.put(&path, version, &body).await?;
        call.output.result(&changed, || details(&changed))
    }
}

/// Every scope of which something is wanted.
async fn list(call: &Call, connector: &mut Connector) -> Result<()> {
    let wanted = connector.list("/api/v1/configurations", PAGE, None).await?;
    let columns = [
        ("SCOPE", "scope"),
        ("VERSION", "version"),
        ("AT", "at"),
        ("ACTOR", "actor"),
        ("SETTINGS", "settings"),
    ];
    let table = Table::of(&wanted, &columns);
    call.output.result(&Value::from(wanted), || table.to_string())
}

/// How far each node has come.
async fn statuses(call: &Call, connector: &mut Connector) -> Result<()> {
    let mut statuses = Vec::new();
    for node in nodes(connector).await? {
        let configuration = status(connector, &node).await?;
        let differing = configuration["differences"].as_array();
        let differing = differing.map(Vec::as_slice).unwrap_or_default();
        let differing: Vec<Value> = differing
            .iter()
            .map(|difference| difference["setting"].clone())
            .collect();
        statuses.push(json!({ "node": node, "configuration": configuration, "differing": differing }));
    }
    let columns = [
        ("NODE", "node.name"),
        ("CLOUD", "node.cloud"),
        ("CONFIGURATION", "configuration.state"),
        ("DIFFERING", "differing"),
        ("REASON", "configuration.reason"),
        ("STATUS", "node.status"),
        ("ID", "node.id"),
    ];
    let table = Table::of(&statuses, &columns);
    call.output.result(&Value::from(statuses), || table.to_string())
}

async fn status(connector: &mut Connector, node: &Value) -> Result<Value> {
    let path = format!("{}/configuration", Resource::NODE.path_of(node)?);
    connector.get(&path).await
}

/// The nodes that were taken in.
async fn nodes(connector: &mut Connector) -> Result<Vec<Value>> {
    let mut nodes = Resource::NODE.list(connector, None).await?;
    nodes.retain(|node| node["state"] == "ACTIVE" || node["state"] == "SUSPENDED");
    Ok(nodes)
}
