//! `vcc tenant`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{Resource, Result, Table, details, may_go_on};

/// See to tenants
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Example:\n  vcc tenant add acme\n  vcc user add bob --role tenant-admin --tenant acme"
)]
pub(super) enum Verb {
    /// List tenants
    List,
    /// Show a tenant
    Show {
        /// Its name or id
        tenant: String,
    },
    /// Make a tenant
    Add {
        /// Its name
        name: String,
    },
    /// Remove a tenant to which nothing belongs
    Delete {
        /// Its name or id
        tenant: String,
        /// Only if it still is at this revision
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::List => {
                let tenants = Resource::TENANT.list(&mut connector, None).await?;
                let table = Table::of(
                    &tenants,
                    &[("NAME", "name"), ("CREATED", "created"), ("ID", "id")],
                );
                call.output.result(&Value::from(tenants), || table.to_string())
            }
            Self::Show { tenant } => {
                let found = Resource::TENANT.find(&mut connector, &tenant).await?;
                call.output.result(&found, || details(&found))
            }
            Self::Add { name } => {
                let made = connector
                    .make(Resource::TENANT.path, &json!({ "name": name }))
                    .await?;
                call.output.result(&made, || details(&made))
            }
            Self::Delete {
                tenant,
                revision,
                yes,
            } => {
                let found = Resource::TENANT.find(&mut connector, &tenant).await?;
                let question = Resource::TENANT.question("Remove", &found);
                may_go_on(yes, &question)?;
                let path = Resource::TENANT.path_of(&found)?;
                connector.delete_matching(&path, revision).await?;
                call.output
                    .result(&found, || Resource::TENANT.done("removed", &found))
            }
        }
    }
}
