//! `vcc login`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::Call;
use crate::access::Secret;
use crate::admin::{Connector, Credential, Result, Session, endpoint, printable, secret, token};
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind};

/// Log in to a connector; the other verbs then speak to it
///
/// Who the connector is, is decided here, and remembered: another certificate is refused later. Without --fingerprint and
/// --ca-file the fingerprint is shown, to be compared with the one on the connector's console.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// Where the connector is
    #[arg(value_name = "HOST[:PORT]", value_parser = endpoint)]
    host: Endpoint,
    /// The user's name
    #[arg(long, value_name = "NAME", default_value = "root")]
    name: String,
    /// Take the password from this file's only line ('-': standard input); asked for if not given
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    password_file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  vcc login server.example --name alice
  vcc login 192.0.2.5:8443 --fingerprint FF:B4:...:4C --password-file password
  vcc login server.example --ca-file ca.pem --token-file token --session robot.json";

impl Arguments {
    pub(super) async fn run(self, call: &Call) -> Result<()> {
        let path = call.target.session_path()?;
        let known_by = call.target.known_by(&self.host).await?;
        let connector = Connector::at(&self.host, &known_by)?;
        let session = |user: &str, credential| Session {
            server: self.host.clone(),
            known_by: known_by.clone(),
            user: user.to_owned(),
            credential,
        };
        if let Some(file) = call.target.token_file() {
            let token = token(file)?;
            let mut connector = connector.with(Secret::shown(&token));
            let who = connector.get("/api/v1/session").await?;
            let name = who["name"].as_str().unwrap_or_default();
            session(name, Credential::Token(token)).keep(&path)?;
            return call.output.result(&who, || told(name, &self.host));
        }
        let question = format!("Password of {} at {}: ", printable(&self.name), self.host);
        let password = secret(self.password_file.as_deref(), &question, "--password-file")?;
        let (user, credential) = log_in(connector, &self.name, &password).await?;
        let name = user["login"].as_str().unwrap_or(&self.name);
        session(name, credential).keep(&path)?;
        call.output.result(&user, || told(name, &self.host))
    }
}

/// Begins a session; gives the user, and what opens the connector.
pub(super) async fn log_in(
    mut connector: Connector,
    name: &str,
    password: &str,
) -> Result<(Value, Credential)> {
    let body = json!({ "name": name, "password": password });
    let mut begun = connector.post("/api/v1/session", &body).await?;
    let token = begun["token"].as_str().unwrap_or_default();
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Error::new(Kind::Malformed, "the connector's answer", "has no token").into());
    }
    let credential = Credential::Session(token.to_owned());
    Ok((begun["user"].take(), credential))
}

fn told(name: &str, host: &Endpoint) -> String {
    format!("logged in to {host} as {}\n", printable(name))
}
