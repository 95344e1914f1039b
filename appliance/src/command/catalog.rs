//! `vcc catalog`.

mod item;
mod quota;

use clap::Subcommand;
use serde_json::{Value, json};

use super::Call;
use crate::admin::{ItemName, PROVIDER, Resource, Result, Table, details, may_go_on, whose};
use item::{Items, Label};
use quota::Quota;

/// See to a node's catalogs, their items and versions
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    /// List catalogs
    List,
    /// Show a catalog
    Show {
        /// Its name or id
        catalog: String,
    },
    /// Make a catalog
    Create {
        /// Its name
        name: String,
        /// What it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// Whose it is: a tenant's name or id; your own tenant's, or the provider's, if not given
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Describe a catalog or an item anew
    Describe {
        /// CATALOG or CATALOG/ITEM
        #[arg(value_name = "CATALOG[/ITEM]")]
        what: ItemName,
        /// What it is for
        text: String,
    },
    /// Remove a catalog that has no items
    Delete {
        /// Its name or id
        catalog: String,
        /// Only if it still is at this revision
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
    Items(Items),
    /// List an item's versions, the newest first
    Versions {
        /// CATALOG/ITEM, or an item's name or id
        item: ItemName,
    },
    /// Show a version: its files, and what was found about it
    Version {
        /// CATALOG/ITEM, or an item's name or id
        item: ItemName,
        /// What it is called, or its id
        version: String,
    },
    /// Remove a version; or, without one, an item that has no versions
    Remove {
        /// CATALOG/ITEM, or an item's name or id
        item: ItemName,
        /// What it is called, or its id
        version: Option<String>,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
    Label(Label),
    Quota(Quota),
}

const EXAMPLES: &str = "\
Examples:
  vcc catalog create images --description 'What we run'
  vcc push images/web 1.4.0 web.ova
  vcc catalog label images/web os=debian tier=front
  vcc catalog items --label os=debian
  vcc catalog version images/web 1.4.0
  vcc catalog remove images/web 1.3.0
  vcc catalog quota acme 500GiB

Catalogs are those of a node. vcc push brings a version, vcc pull takes it.";

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::List => {
                let catalogs = Resource::CATALOG.list(&mut connector, None).await?;
                let columns = [
                    ("NAME", "name"),
                    ("TENANT", "tenant"),
                    ("DESCRIPTION", "description"),
                    ("CREATED", "created"),
                    ("ID", "id"),
                ];
                let table = Table::of(&catalogs, &columns);
                call.output.result(&Value::from(catalogs), || table.to_string())
            }
            Self::Show { catalog } => {
                let found = Resource::CATALOG.find(&mut connector, &catalog).await?;
                call.output.result(&found, || details(&found))
            }
            Self::Create {
                name,
                description,
                tenant,
            } => {
                let mut new = json!({ "name": name, "description": description });
                if let Some(tenant) = tenant {
                    let tenant = whose(&mut connector, Some(&tenant)).await?;
                    if tenant != PROVIDER {
                        new["tenant"] = tenant.into();
                    }
                }
                let made = connector.make(Resource::CATALOG.path, &new).await?;
                call.output.result(&made, || details(&made))
            }
            Self::Describe { what, text } => {
                let path = match &what.catalog {
                    Some(_) => Resource::ITEM.path_of(&what.find(&mut connector).await?)?,
                    None => {
                        let catalog = Resource::CATALOG.find(&mut connector, &what.item).await?;
                        Resource::CATALOG.path_of(&catalog)?
                    }
                };
                let change = json!({ "description": text });
                let changed = connector.patch(&path, None, &change).await?;
                call.output.result(&changed, || details(&changed))
            }
            Self::Delete {
                catalog,
                revision,
                yes,
            } => {
                let found = Resource::CATALOG.find(&mut connector, &catalog).await?;
                may_go_on(yes, &Resource::CATALOG.question("Remove", &found))?;
                let path = Resource::CATALOG.path_of(&found)?;
                connector.delete_matching(&path, revision).await?;
                call.output
                    .result(&found, || Resource::CATALOG.done("removed", &found))
            }
            Self::Items(arguments) => arguments.run(call, &mut connector).await,
            Self::Versions { item } => item::versions(call, &mut connector, &item).await,
            Self::Version { item, version } => item::version(call, &mut connector, &item, &version).await,
            Self::Remove {
                item,
                version: Some(version),
                yes,
            } => item::remove_version(call, &mut connector, (&item, &version), yes).await,
            Self::Remove {
                item,
                version: None,
                yes,
            } => {
                let found = item.find(&mut connector).await?;
                may_go_on(yes, &Resource::ITEM.question("Remove", &found))?;
                let path = Resource::ITEM.path_of(&found)?;
                connector.delete_matching(&path, None).await?;
                call.output
                    .result(&found, || Resource::ITEM.done("removed", &found))
            }
            Self::Label(arguments) => arguments.run(call, &mut connector).await,
            Self::Quota(arguments) => arguments.run(call, &mut connector).await,
        }
    }
}
