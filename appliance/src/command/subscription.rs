//! `vcc subscription`.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Resource, Result, Table, details, may_go_on, number, text};
use crate::transfer::Window;

/// Have catalogs follow those of other nodes
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    /// Have a catalog follow another node's
    Create {
        /// What is followed: the node's name or id, and its catalog
        #[arg(value_name = "NODE:CATALOG", value_parser = shelf)]
        from: (String, String),
        /// What follows: the node's name or id, and its catalog if it is called otherwise
        #[arg(value_name = "NODE[:CATALOG]")]
        to: String,
        /// Whose they are: a tenant's name; your own tenant's, or the provider's, if not given
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Seconds between two looks
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(10..))]
        every: Option<u32>,
        /// What is kept of versions when a newer one has come
        #[arg(long, value_parser = PossibleValuesParser::new(["all", "current"]))]
        keep: Option<String>,
        /// Remove at the destination what vanishes at the source, as far as it came so
        #[arg(long)]
        mirror: bool,
        /// Bytes a second of each transfer at most, also as 10MiB
        #[arg(long, value_name = "BYTES", value_parser = number)]
        rate: Option<u64>,
        /// Connections of each transfer
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
        parallel: Option<u8>,
        /// The hours of the day in which bytes move, in UTC
        #[arg(long, value_name = "HH:MM-HH:MM")]
        window: Option<Window>,
    },
    /// List subscriptions
    List,
    /// Look at the source now, and try again what failed or was refused
    Sync {
        /// Its id
        subscription: String,
    },
    /// Follow no more
    Remove {
        /// Its id
        subscription: String,
        /// What becomes of what came by it
        #[arg(long, value_parser = PossibleValuesParser::new(["keep", "remove"]), default_value = "keep")]
        content: String,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  vcc subscription create east:images west --tenant acme
  vcc subscription create east:images west:edge --every 3600 --keep current --mirror
  vcc transfer list --subscription 0c5c7b0e-6a56-4e6e-9d6c-6d3b8d0e4f11
  vcc subscription remove 0c5c7b0e-6a56-4e6e-9d6c-6d3b8d0e4f11 --content remove";

fn shelf(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once(':') {
        Some((node, catalog)) if !node.is_empty() && !catalog.is_empty() => {
            Ok((node.to_owned(), catalog.to_owned()))
        }
        _ => Err("what is followed is NODE:CATALOG"),
    }
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::Create {
                from: (source, catalog),
                to,
                tenant,
                every,
                keep,
                mirror,
                rate,
                parallel,
                window,
            } => {
                let (destination, to_catalog) = match to.split_once(':') {
                    Some((node, catalog)) => (node.to_owned(), Some(catalog.to_owned())),
                    None => (to, None),
                };
                let mut wish = json!({ "source": source, "catalog": catalog, "destination": destination, "mirror": mirror });
                let fields = [
                    ("tenant", tenant.map(Value::from)),
                    ("to_catalog", to_catalog.map(Value::from)),
                    ("every", every.map(Value::from)),
                    ("keep", keep.map(Value::from)),
                    ("rate", rate.map(Value::from)),
                    ("parallel", parallel.map(Value::from)),
                    ("window", window.map(|window| Value::from(window.to_string()))),
                ];
                for (name, value) in fields {
                    if let Some(value) = value {
                        wish[name] = value;
                    }
                }
                let made = connector.make(Resource::SUBSCRIPTION.path, &wish).await?;
                call.output.result(&made, || details(&made))
            }
            Self::List => {
                let all = Resource::SUBSCRIPTION.list(&mut connector, None).await?;
                let columns = [
                    ("ID", "id"),
                    ("FROM", "source.name"),
                    ("CATALOG", "source.catalog"),
                    ("TO", "destination.name"),
                    ("CATALOG", "destination.catalog"),
                    ("TENANT", "source.tenant"),
                    ("LOOKED", "looked"),
                    ("MESSAGE", "message"),
                ];
                let table = Table::of(&all, &columns);
                call.output.result(&Value::from(all), || table.to_string())
            }
            Self::Sync { subscription } => {
                let path = Resource::SUBSCRIPTION.path_of_given(&subscription)?;
                let asked = connector.post(&format!("{path}/sync"), &json!({})).await?;
                call.output.result(&asked, || details(&asked))
            }
            Self::Remove {
                subscription,
                content,
                yes,
            } => {
                let path = Resource::SUBSCRIPTION.path_of_given(&subscription)?;
                let found = connector.get(&path).await?;
                let becomes = match content.as_str() {
                    "remove" => "what came by it is removed",
                    _ => "what came by it stays",
                };
                let what = format!(
                    "{}:{} to {}:{}",
                    text(&found, "source.name"),
                    text(&found, "source.catalog"),
                    text(&found, "destination.name"),
                    text(&found, "destination.catalog")
                );
                may_go_on(yes, &format!("follow no more, and {becomes}: {what}?"))?;
                connector.delete(&format!("{path}?content={content}")).await?;
                call.output
                    .result(&found, || format!("followed no more, and {becomes}: {what}\n"))
            }
        }
    }
}
