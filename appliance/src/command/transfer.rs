//! `vcc transfer`.

mod create;
mod follow;
mod why;

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Resource, Result, Table, details, document, print, text};
use crate::error::{Error, Kind};
use crate::http::percent::encoded;
use crate::transfer::{Purpose, Receipt, State};
use create::Create;
use follow::{finish, followed};

/// See to what moves from node to node
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    Create(Box<Create>),
    /// List transfers, the newest first
    List {
        /// Those in this state alone
        #[arg(long, value_parser = states(), ignore_case = true)]
        state: Option<String>,
        /// Those from or to this node alone: its name or id
        #[arg(long)]
        node: Option<String>,
        /// Those of this subscription alone
        #[arg(long, value_name = "ID")]
        subscription: Option<String>,
        /// So many at most
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Show a transfer, with its receipt
    Show {
        /// Its id
        transfer: String,
    },
    /// Follow a transfer to its end; exit code 0 if it is published, 1 if it is refused, 2 if it failed or was stopped
    Follow {
        /// Its id
        transfer: String,
    },
    /// Stop a transfer
    Cancel {
        /// Its id
        transfer: String,
        /// Wait until it has ended: what its destination has in hand may be done before
        #[arg(long)]
        follow: bool,
    },
    /// Begin a transfer again that was refused, failed or was stopped
    Retry {
        /// Its id
        transfer: String,
        /// Follow it to its end
        #[arg(long)]
        follow: bool,
    },
    /// Fetch the grant of a transfer that people carry, for vcc bundle create
    Grant {
        /// Its id
        transfer: String,
        /// Where it goes; standard output if not given
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Bring the receipt of a transfer that people carried, from vcc bundle bring; exit code 0 if it was published, 1 if it was refused
    Receipt {
        /// The receipt
        file: PathBuf,
    },
    /// Tell why a transfer was refused, or failed, and what to do about it
    Why {
        /// Its id
        transfer: String,
    },
}

const EXAMPLES: &str = "\
Examples:
  vcc transfer create east:images/web west --follow
  vcc transfer create east:images/web@1.4.0 west:edge/web --tenant acme --rate 10MiB --window 22:00-06:00
  vcc transfer create east:images/web west --dry-run
  vcc transfer list --state rejected
  vcc transfer why 0c5c7b0e-6a56-4e6e-9d6c-6d3b8d0e4f11";

fn states() -> PossibleValuesParser {
    PossibleValuesParser::new(State::ALL.map(State::as_str))
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::Create(create) => create.run(call, &mut connector).await,
            Self::List {
                state,
                node,
                subscription,
                limit,
            } => {
                let most = limit.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
                let state = state.map(|state| state.to_ascii_uppercase());
                let fields = [("state", state), ("node", node), ("subscription", subscription)];
                let asked: Vec<_> = fields
                    .into_iter()
                    .filter_map(|(name, value)| Some(format!("{name}={}", encoded(&value?))))
                    .collect();
                let path = match asked.as_slice() {
                    [] => Resource::TRANSFER.path.to_owned(),
                    asked => format!("{}?{}", Resource::TRANSFER.path, asked.join("&")),
                };
                let transfers = Resource::TRANSFER.list_at(&path, &mut connector, most).await?;
                let table = table(&transfers);
                call.output.result(&Value::from(transfers), || table.to_string())
            }
            Self::Show { transfer } => {
                let path = Resource::TRANSFER.path_of_given(&transfer)?;
                let transfer = connector.get(&path).await?;
                call.output.result(&transfer, || details(&transfer))
            }
            Self::Follow { transfer } => {
                let path = Resource::TRANSFER.path_of_given(&transfer)?;
                let transfer = connector.get(&path).await?;
                finish(call, &mut connector, transfer).await
            }
            Self::Cancel { transfer, follow } => {
                let path = format!("{}/cancel", Resource::TRANSFER.path_of_given(&transfer)?);
                let mut transfer = connector.post(&path, &json!({})).await?;
                if follow {
                    transfer = followed(call, &mut connector, transfer).await?;
                }
                call.output.result(&transfer, || follow::summary(&transfer))
            }
            Self::Retry { transfer, follow } => {
                let path = format!("{}/retry", Resource::TRANSFER.path_of_given(&transfer)?);
                let transfer = connector.post(&path, &json!({})).await?;
                match follow {
                    true => finish(call, &mut connector, transfer).await,
                    false => call.output.result(&transfer, || follow::summary(&transfer)),
                }
            }
            Self::Grant {
                transfer,
                output,
                force,
            } => {
                let path = format!("{}/grant", Resource::TRANSFER.path_of_given(&transfer)?);
                let grant = connector.get(&path).await?;
                let Some(file) = output else {
                    return print(&format!("{grant}\n"));
                };
                let signed = serde_json::from_value(grant).map_err(|error| {
                    Error::new(Kind::Malformed, "the connector's answer", "is no grant").because(error)
                })?;
                document::keep(&file, &signed, force)?;
                let told = json!({ "transfer": transfer, "file": file });
                call.output.result(&told, || details(&told))
            }
            Self::Receipt { file } => {
                let signed = document::read(&file)?;
                let receipt: Receipt = signed.read(Purpose::Receipt)?;
                let path = Resource::TRANSFER.path_of_given(&receipt.transfer.to_string())?;
                let transfer = connector.post(&format!("{path}/receipt"), &json!(signed)).await?;
                finish(call, &mut connector, transfer).await
            }
            Self::Why { transfer } => {
                let path = Resource::TRANSFER.path_of_given(&transfer)?;
                let transfer = connector.get(&path).await?;
                call.output
                    .result(&why::document(&transfer), || why::told(&transfer))
            }
        }
    }
}

fn table(transfers: &[Value]) -> Table {
    let row = |transfer: &Value| {
        let mut row = transfer.clone();
        row["from"] = follow::end(transfer, "source").into();
        row["to"] = follow::end(transfer, "destination").into();
        let number = |field: &str| transfer[field].as_u64().unwrap_or_default();
        let (done, total) = (number("done"), number("total"));
        let share = u128::from(done) * 100 / u128::from(total.max(1));
        row["share"] = if total > 0 {
            format!("{share}%").into()
        } else {
            Value::Null
        };
        row
    };
    let rows: Vec<_> = transfers.iter().map(row).collect();
    let columns = [
        ("ID", "id"),
        ("STATE", "state"),
        ("FROM", "from"),
        ("VERSION", "label"),
        ("TO", "to"),
        ("DONE", "share"),
        ("CREATED", "created"),
        ("ACTOR", "actor"),
    ];
    Table::of(&rows, &columns)
}

/// A place, for people.
fn place(place: &Value) -> String {
    let name = format!("{}/{}", text(place, "catalog"), text(place, "item"));
    match place["tenant"].as_str() {
        Some(_) => format!("{name} of {}", text(place, "tenant")),
        None => name,
    }
}
