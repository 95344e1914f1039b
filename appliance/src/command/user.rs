//! `vcc user`.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};

use super::Call;
use crate::access::Role;
use crate::admin::{Failure, NewPassword, Resource, Result, Table, details, may_go_on};

/// See to users
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum Verb {
    /// List users
    List,
    /// Show a user
    Show {
        /// Its name or id
        user: String,
    },
    /// Make a user; its password is asked for, or comes from a file, and a robot has none
    Add {
        /// Its name
        name: String,
        /// What it is there for
        #[arg(long, value_parser = roles())]
        role: String,
        /// The tenant that it belongs to: its name or id
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Change a user's role or password; its sessions end
    Set {
        /// Its name or id
        user: String,
        /// Another role
        #[arg(long, value_parser = roles())]
        role: Option<String>,
        /// Ask for another password; not needed with --password-file
        #[arg(long)]
        password: bool,
        #[command(flatten)]
        new: NewPassword,
        /// Only if it still is at this revision
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
    },
    /// Remove a user, with its sessions and tokens
    Delete {
        /// Its name or id
        user: String,
        /// Only if it still is at this revision
        #[arg(long, value_name = "N")]
        revision: Option<u64>,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
}

const EXAMPLES: &str = "\
Examples:
  vcc user add alice --role auditor
  vcc user add bob --role tenant-admin --tenant acme --password-file password
  vcc user add backup --role robot
  vcc user set alice --password";

fn roles() -> PossibleValuesParser {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str))
}

impl Verb {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let mut connector = call.connector().await?;
        match self {
            Self::List => {
                let users = Resource::USER.list(&mut connector, None).await?;
                let columns = [
                    ("LOGIN", "login"),
                    ("ROLE", "role"),
                    ("TENANT", "tenant"),
                    ("CREATED", "created"),
                    ("ID", "id"),
                ];
                let table = Table::of(&users, &columns);
                call.output.result(&Value::from(users), || table.to_string())
            }
            Self::Show { user } => {
                let found = Resource::USER.find(&mut connector, &user).await?;
                call.output.result(&found, || details(&found))
            }
            Self::Add {
                name,
                role,
                tenant,
                password,
            } => {
                let mut new = json!({ "name": name, "role": role });
                if let Some(tenant) = tenant {
                    new["tenant"] = Resource::TENANT.find(&mut connector, &tenant).await?["id"].take();
                }
                if role != Role::Robot.as_str() || password.is_given() {
                    new["password"] = password.read(&name)?.into();
                }
                let made = connector.make(Resource::USER.path, &new).await?;
                call.output.result(&made, || details(&made))
            }
            Self::Set {
                user,
                role,
                password,
                new,
                revision,
            } => {
                let wants_password = password || new.is_given();
                if role.is_none() && !wants_password {
                    return Err(Failure::usage(
                        format!("user '{user}'"),
                        "nothing is to be another",
                        "--role, --password or --password-file says what",
                    ));
                }
                let found = Resource::USER.find(&mut connector, &user).await?;
                let mut change = Map::new();
                if let Some(role) = role {
                    change.insert("role".to_owned(), role.into());
                }
                if wants_password {
                    change.insert("password".to_owned(), new.read(&user)?.into());
                }
                let path = Resource::USER.path_of(&found)?;
                let changed = connector.patch(&path, revision, &change.into()).await?;
                call.output.result(&changed, || details(&changed))
            }
            Self::Delete { user, revision, yes } => {
                let found = Resource::USER.find(&mut connector, &user).await?;
                let question = Resource::USER.question("Remove", &found);
                may_go_on(yes, &question)?;
                let path = Resource::USER.path_of(&found)?;
                connector.delete_matching(&path, revision).await?;
                call.output
                    .result(&found, || Resource::USER.done("removed", &found))
            }
        }
    }
}
