//! `vcc task`.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Connector, Failure, Progress, Resource, Result, Table, details, text};
use crate::task::{Kind, Stage};

/// See to what nodes have to do
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    /// List tasks, the newest first
    List {
        /// Those of this node alone: its name or id
        #[arg(long)]
        node: Option<String>,
        /// So many at most
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Show a task, with what came of it
    Show {
        /// Its id
        task: String,
        /// Wait until it has ended; exit code 1 unless it is done then
        #[arg(long)]
        follow: bool,
    },
    /// Order a task of a node
    Create {
        /// The node's name or id
        node: String,
        /// What is to be done
        #[arg(value_parser = kinds())]
        kind: String,
        /// Wait until it has ended; exit code 1 unless it is done then
        #[arg(long)]
        follow: bool,
    },
    /// Stop a task
    Cancel {
        /// Its id
        task: String,
        /// Wait until it has ended
        #[arg(long)]
        follow: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  vcc task create node-a diagnose --follow
  vcc task create node-a verify-audit --follow --json > result.json
  vcc task list --node node-a --limit 10";

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(Kind::ALL.map(Kind::as_str))
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::List { node, limit } => {
                let most = limit.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
                let tasks = match node {
                    None => Resource::TASK.list(&mut connector, most).await?,
                    Some(node) => {
                        let node = Resource::NODE.find(&mut connector, &node).await?;
                        let path = format!("{}/tasks", Resource::NODE.path_of(&node)?);
                        Resource::TASK.list_at(&path, &mut connector, most).await?
                    }
                };
                let columns = [
                    ("ID", "id"),
                    ("KIND", "kind"),
                    ("STATE", "state"),
                    ("DONE", "done"),
                    ("TOTAL", "total"),
                    ("CREATED", "created"),
                    ("ACTOR", "actor"),
                    ("NODE", "node"),
                ];
                let table = Table::of(&tasks, &columns);
                call.output.result(&Value::from(tasks), || table.to_string())
            }
            Self::Show { task, follow } => {
                let path = Resource::TASK.path_of_given(&task)?;
                let task = connector.get(&path).await?;
                finish(call, &mut connector, task, follow).await
            }
            Self::Create { node, kind, follow } => {
                let is_active = |node: &Value| node["state"] == "ACTIVE";
                let node = Resource::NODE
                    .find_where(&mut connector, &node, is_active)
                    .await?;
                let path = format!("{}/tasks", Resource::NODE.path_of(&node)?);
                let task = connector.make(&path, &json!({ "kind": kind })).await?;
                finish(call, &mut connector, task, follow).await
            }
            Self::Cancel { task, follow } => {
                let path = format!("{}/cancel", Resource::TASK.path_of_given(&task)?);
                let task = connector.post(&path, &json!({})).await?;
                match follow {
                    true => {
                        let ended = followed(&mut connector, task).await?;
                        call.output.result(&ended, || details(&ended))
                    }
                    false => call.output.result(&task, || details(&task)),
                }
            }
        }
    }
}

/// Shows a task, once it has ended if it is followed; one that is followed and not done then is a failure.
async fn finish(call: &Call, connector: &mut Connector, task: Value, follow: bool) -> Result<()> {
    if !follow {
        return call.output.result(&task, || details(&task));
    }
    let ended = followed(connector, task).await?;
    call.output.result(&ended, || details(&ended))?;
    match stage(&ended) {
        Some(Stage::Done) => Ok(()),
        _ => Err(Failure::Unfinished {
            task: text(&ended, "id"),
            state: text(&ended, "state"),
            message: text(&ended, "message"),
        }),
    }
}

/// A task at its end, told of on the way.
async fn followed(connector: &mut Connector, mut task: Value) -> Result<Value> {
    let path = Resource::TASK.path_of(&task)?;
    let mut progress = Progress::default();
    while !stage(&task).is_some_and(Stage::has_ended) {
        progress.tell(&told(&task));
        task = connector.get_changed(&path).await?;
    }
    progress.tell(&told(&task));
    Ok(task)
}

fn stage(task: &Value) -> Option<Stage> {
    task["state"].as_str()?.parse().ok()
}

/// How a task goes, on a line.
fn told(task: &Value) -> String {
    let mut line = format!("{} {}", text(task, "kind"), text(task, "state"));
    if task["total"].as_i64().is_some_and(|total| total > 0) {
        line.push_str(&format!(" {}/{}", text(task, "done"), text(task, "total")));
    }
    if let Some(remaining) = task["remaining"].as_u64() {
        line.push_str(&format!(", {} s left", remaining.div_ceil(1000)));
    }
    if task["message"]
        .as_str()
        .is_some_and(|message| !message.is_empty())
    {
        line.push_str(&format!(": {}", text(task, "message")));
    }
    line
}
