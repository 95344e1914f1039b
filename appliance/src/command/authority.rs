//! `vcc authority`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Result, text};

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
        /// Take the next step of a rotation that waits: the nodes that it waits for have to be enrolled anew
        #[arg(long)]
        force: bool,
    },
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        let authority = match self {
            Self::Show => connector.get(PATH).await?,
            Self::Rotate { force } => {
                let path = format!("{PATH}/rotate");
                connector.post(&path, &json!({ "force": force })).await?
            }
        };
        call.output.result(&authority, || told(&authority))
    }
}

fn told(authority: &Value) -> String {
    let line = |name: &str, field: &str| match authority[field].is_null() {
        true => String::new(),
        false => format!("{name:9} {}\n", text(authority, field)),
    };
    let waits = authority["waiting_for"].as_array().into_iter().flatten();
    let waits: Vec<_> = waits.filter_map(Value::as_str).collect();
    let waits = match waits.is_empty() {
        true => String::new(),
        false => format!(
            "waits for {} ({})\n",
            text(authority, "waiting"),
            waits.join(", ")
        ),
    };
    [
        line("key", "key"),
        line("created", "created"),
        line("next", "next"),
        line("former", "former"),
        waits,
    ]
    .concat()
}
