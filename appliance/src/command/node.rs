//! `vcc node`: the service, or what an administrator does about nodes.

mod approve;
mod decision;
mod join;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Call, service};
use crate::admin::{Resource, Result, SecretOutput, Table, details, may_go_on, print};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    service: Option<service::Arguments>,
}

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    /// List the server's nodes
    List,
    /// Show a node
    Show {
        /// Its name or id
        node: String,
    },
    /// Make a code by which one node comes to this server; it is shown this once
    Code {
        /// How long it is good, 1 to 10080
        #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_080))]
        minutes: u32,
        #[command(flatten)]
        output: SecretOutput,
    },
    Join(join::Arguments),
    /// Have this node leave its server; the session is with the node
    Leave {
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
    Approve(approve::Arguments),
    /// Send a node away for good
    Revoke {
        /// Its name or id
        node: String,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

const EXAMPLES: &str = "\
Taking a node in:
  vcc node code --output code                                 logged in to the server
  vcc node join server.example --cloud east --code-file code  logged in to the node: it shows a fingerprint
  vcc node approve NAME                                       logged in to the server: is it the same one?

Replacing a node by another one, with all that was wanted of it:
  vcc node approve NEW --replaces OLD";

impl Arguments {
    /// The verb, or how to run.
    pub(super) fn split(self) -> Result<Verb, service::Arguments> {
        match (self.verb, self.service) {
            (Some(verb), _) => Ok(verb),
            (None, Some(service)) => Err(service),
            // Without arguments the state directory is missing, of which clap tells.
            (None, None) => Ok(Verb::List),
        }
    }
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::List => {
                let nodes = Resource::NODE.list(&mut connector, None).await?;
                let columns = [
                    ("NAME", "name"),
                    ("CLOUD", "cloud"),
                    ("STATE", "state"),
                    ("STATUS", "status"),
                    ("VERSION", "version"),
                    ("SEEN", "seen"),
                    ("ID", "id"),
                ];
                let table = Table::of(&nodes, &columns);
                call.output.result(&Value::from(nodes), || table.to_string())
            }
            Self::Show { node } => {
                let found = Resource::NODE.find(&mut connector, &node).await?;
                call.output.result(&found, || details(&found))
            }
            Self::Code { minutes, output } => {
                let file = output.open()?;
                let body = json!({ "minutes": minutes });
                let made = connector.post("/api/v1/enrolment-codes", &body).await?;
                call.output.secret(made, "code", file)
            }
            Self::Join(arguments) => arguments.run(call, connector).await,
            Self::Leave { yes } => {
                may_go_on(yes, "Leave the server? It has to send this node away by itself.")?;
                connector.delete("/api/v1/enrolment").await?;
                match call.output.json {
                    true => print("{}\n"),
                    false => print("the node has left its server\n"),
                }
            }
            Self::Approve(arguments) => arguments.run(call, connector).await,
            Self::Revoke { node, yes } => {
                let is_there = |node: &Value| node["state"] != "REVOKED";
                let found = Resource::NODE.find_where(&mut connector, &node, is_there).await?;
                let question = Resource::NODE.question("Send away for good", &found);
                may_go_on(yes, &question)?;
                let path = format!("{}/revoke", Resource::NODE.path_of(&found)?);
                let revoked = connector.post(&path, &json!({})).await?;
                call.output
                    .result(&revoked, || Resource::NODE.done("revoked", &found))
            }
        }
    }
}
