//! `vcc authority`.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Result, may_go_on, text};

const PATH: &str = "/api/v1/authority";

/// See and replace the key by which nodes know the server
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show the key, and how far the next one is
    Show,
    /// Put another key in its place
    ///
    /// Nodes are told of the next key with their heartbeats. When all of them know it, the server uses it, and codes that were
    /// given out are void; when all have certificates that it signed, what the former key signed is good no more.
    Rotate {
        /// Take the step that waits: the nodes that it waits for are left behind, and have to be enrolled anew
        #[arg(long, value_name = "STEP")]
        force: Option<Step>,
        /// Don't ask
        #[arg(long, requires = "force")]
        yes: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Step {
    /// Use the next key
    Switch,
    /// Have done with the former key
    Retire,
}

impl Step {
    fn named(self) -> &'static str {
        match self {
            Self::Switch => "SWITCH",
            Self::Retire => "RETIRE",
        }
    }
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        let authority = match self {
            Self::Show => connector.get(PATH).await?,
            Self::Rotate { force, yes } => {
                if let Some(step) = force {
                    let question = question(step, &connector.get(PATH).await?);
                    may_go_on(yes, &question)?;
                }
                let wish = force.map_or_else(|| json!({}), |step| json!({ "force": step.named() }));
                connector.post(&format!("{PATH}/rotate"), &wish).await?
            }
        };
        call.output.result(&authority, || told(&authority))
    }
}

fn question(step: Step, authority: &Value) -> String {
    let what = match step {
        Step::Switch => "Use the next key now",
        Step::Retire => "Have done with the former key now",
    };
    match waits_for(authority) {
        None => format!("{what}? It waits for no node."),
        Some(nodes) => format!("{what}? These have to be enrolled anew: {nodes}."),
    }
}

fn waits_for(authority: &Value) -> Option<String> {
    let names = authority["waiting_for"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str);
    let names: Vec<_> = names.collect();
    let all = authority["waiting"].as_u64().unwrap_or_default();
    let others = all.saturating_sub(names.len() as u64);
    match (names.is_empty(), others) {
        (true, _) => None,
        (false, 0) => Some(names.join(", ")),
        (false, others) => Some(format!("{} and {others} others", names.join(", "))),
    }
}

fn told(authority: &Value) -> String {
    let line = |name: &str, field: &str| match authority[field].is_null() {
        true => String::new(),
        false => format!("{name:9} {}\n", text(authority, field)),
    };
    let waits = waits_for(authority).map_or_else(String::new, |nodes| {
        format!("waits for {} ({nodes})\n", text(authority, "waiting"))
    });
    [
        line("key", "key"),
        line("created", "created"),
        line("next", "next"),
        line("former", "former"),
        waits,
    ]
    .concat()
}
