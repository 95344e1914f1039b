//! `vcc setup`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::json;

use super::{Call, login};
use crate::admin::{Connector, KnownBy, NewPassword, Result, Session, endpoint, printable, secret};
use crate::endpoint::Endpoint;
use crate::role::Role;

/// Set a new connector up: make its first administrator, and log in
///
/// The code is on the consoles of the connector's machine, or in the log of its service: `set-up code=...`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Where the connector is
    #[arg(value_name = "HOST[:PORT]", value_parser = endpoint)]
    host: Endpoint,
    /// The administrator's name
    #[arg(long, value_name = "NAME", default_value = "root")]
    name: String,
    /// Take the code from this file's only line ('-': standard input); asked for if not given
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// What it is from then on, where an appliance's properties don't say; it starts again with it
    #[arg(long, value_name = "ROLE", value_parser = roles())]
    role: Option<Role>,
    #[command(flatten)]
    password: NewPassword,
}

/// How long a connector may take to start again, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(500);

fn roles() -> impl clap::builder::TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(|name| name.parse())
}

const EXAMPLES: &str = "\
Examples:
  vcc setup 192.0.2.5
  vcc setup 192.0.2.5 --role server
  vcc setup 192.0.2.5 --fingerprint FF:B4:...:4C --code-file code --password-file password";

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let path = call.target.session_path()?;
        let known_by = call.target.known_by(&self.host).await?;
        let code = secret(self.code_file.as_deref(), "Code on the console: ", "--code-file")?;
        let password = self.password.read(&self.name)?;
        let mut connector = Connector::at(&self.host, &known_by)?;
        let administrator = json!({ "name": self.name, "password": password });
        let mut body = json!({ "code": code, "administrator": administrator });
        if let Some(role) = self.role {
            body["role"] = json!(role);
        }
        let user = connector.post("/api/v1/setup", &body).await?;
        if let Some(role) = self.role {
            connector = self.wait_for(role, &known_by, call).await?;
        }
        let (_, credential) = login::log_in(connector, &self.name, &password).await?;
        let session = Session {
            server: self.host.clone(),
            known_by,
            user: self.name.clone(),
            credential,
        };
        session.keep(&path)?;
        call.output.result(&user, || {
            let name = printable(&self.name);
            format!("{} is set up, and {name} logged in\n", self.host)
        })
    }

    /// Waits until the connector plays its part: with another than before it starts again.
    async fn wait_for(&self, role: Role, known_by: &KnownBy, call: &Call) -> Result<Connector> {
        let end = Instant::now() + PATIENCE;
        let mut is_told = false;
        loop {
            // A connection to the one that ends is of no use.
            let mut connector = Connector::at(&self.host, known_by)?;
            let about = connector.get("/api/v1/about").await;
            let waits = Instant::now() < end;
            match about {
                Ok(about) if about["role"] == role.as_str() || !waits => return Ok(connector),
                Err(failure) if !waits => return Err(failure),
                _ => {}
            }
            if !is_told {
                call.output
                    .remark(&format!("{} starts again as {role} ...", self.host));
                is_told = true;
            }
            tokio::time::sleep(STEP).await;
        }
    }
}
