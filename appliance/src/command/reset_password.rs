//! `vcc reset-password`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Call, login};
use crate::admin::{Connector, NewPassword, Result, Session, endpoint, printable, secret};
use crate::endpoint::Endpoint;

/// Give an administrator who has lost the password another one, with a code of the console, and log in
///
/// The menu on the console of the connector's machine makes the code, which is good once, for an hour. The administrator's sessions end;
/// one who is not there is made. Without the console, another administrator does it: vcc user set NAME --password.
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
    #[command(flatten)]
    password: NewPassword,
}

const EXAMPLES: &str = "\
Examples:
  vcc reset-password 192.0.2.5
  vcc reset-password 192.0.2.5 --name alice --fingerprint FF:B4:...:4C --code-file code --password-file password";

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let path = call.target.session_path()?;
        let known_by = call.target.known_by(&self.host).await?;
        let code = secret(
            self.code_file.as_deref(),
            "Code of the console's menu: ",
            "--code-file",
        )?;
        let password = self.password.read(&self.name)?;
        let mut connector = Connector::at(&self.host, &known_by)?;
        let administrator = json!({ "name": self.name, "password": password });
        let body = json!({ "code": code, "administrator": administrator });
        let user = connector.post("/api/v1/administrator-reset", &body).await?;
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
            format!(
                "{name} has another password at {}, and is logged in; tokens for programs stay\n",
                self.host
            )
        })
    }
}
