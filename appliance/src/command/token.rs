//! `vcc token`.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::Call;
use crate::access::Right;
use crate::admin::{Resource, Result, SecretOutput, Table, may_go_on};

/// See to the tokens that programs log in with
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    /// List tokens
    List,
    /// Make a token, for oneself or for a robot; its secret is shown this once
    Add {
        /// What it is for
        name: String,
        /// What it may do; again for more
        #[arg(long, required = true, value_delimiter = ',', value_parser = rights())]
        scope: Vec<String>,
        /// The robot that it is for: its name or id; oneself if not given
        #[arg(long, value_name = "USER")]
        owner: Option<String>,
        /// How long it is good, 1 to 366
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=366))]
        days: u16,
        #[command(flatten)]
        output: SecretOutput,
    },
    /// End a token at once
    Revoke {
        /// Its name or id
        token: String,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  vcc user add backup --role robot
  vcc token add nightly --owner backup --scope users:read,audit:read --days 30 --output token
  vcc --server server.example --ca-file ca.pem --token-file token audit list --json";

fn rights() -> PossibleValuesParser {
    PossibleValuesParser::new(Right::ALL.map(Right::as_str))
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::List => {
                let tokens = Resource::TOKEN.list(&mut connector, None).await?;
                let columns = [
                    ("NAME", "name"),
                    ("SCOPE", "scope"),
                    ("EXPIRES", "expires"),
                    ("USED", "used"),
                    ("OWNER", "owner"),
                    ("ID", "id"),
                ];
                let table = Table::of(&tokens, &columns);
                call.output.result(&Value::from(tokens), || table.to_string())
            }
            Self::Add {
                name,
                scope,
                owner,
                days,
                output,
            } => {
                let file = output.open()?;
                let mut new = json!({ "name": name, "scope": scope, "days": days });
                if let Some(owner) = owner {
                    new["owner"] = Resource::USER.find(&mut connector, &owner).await?["id"].take();
                }
                let made = connector.make(Resource::TOKEN.path, &new).await?;
                call.output.secret(made, "secret", file)
            }
            Self::Revoke { token, yes } => {
                let found = Resource::TOKEN.find(&mut connector, &token).await?;
                let question = Resource::TOKEN.question("End", &found);
                may_go_on(yes, &question)?;
                connector.delete(&Resource::TOKEN.path_of(&found)?).await?;
                call.output
                    .result(&found, || Resource::TOKEN.done("ended", &found))
            }
        }
    }
}
