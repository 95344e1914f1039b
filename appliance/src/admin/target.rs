//! Which connector the verbs ask: the session's, or one that arguments or the environment name.

use std::path::PathBuf;

use clap::Args;

use super::connector::Connector;
use super::failure::{Failure, Result};
use super::secret;
use super::session::{self, Credential, KnownBy, Session};
use super::trust;
use crate::endpoint::Endpoint;
use crate::identity::Fingerprint;

/// Where to look for the session, or what takes its place.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Connector")]
pub(crate) struct Target {
    /// Keep the session in this file, in place of vcc/session.json in the user's configuration
    #[arg(long, global = true, value_name = "FILE", env = "VCC_SESSION")]
    session: Option<PathBuf>,
    /// Ask this connector, without a session; goes with --token-file
    #[arg(long, global = true, value_name = "HOST[:PORT]", env = "VCC_SERVER", value_parser = endpoint)]
    server: Option<Endpoint>,
    /// Show the token in this file's only line ('-': standard input), in place of a name and a password
    #[arg(long, global = true, value_name = "FILE", env = "VCC_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Know the connector by its certificate's SHA-256 fingerprint, from its console or log
    #[arg(
        long,
        global = true,
        value_name = "SHA256",
        env = "VCC_FINGERPRINT",
        conflicts_with = "ca_file"
    )]
    fingerprint: Option<Fingerprint>,
    /// Trust a certificate for this host from the issuers in this file (PEM)
    #[arg(long, global = true, value_name = "FILE", env = "VCC_CA_FILE")]
    ca_file: Option<PathBuf>,
}

/// A connector's place as people write it, or as browsers do.
pub(crate) fn endpoint(text: &str) -> Result<Endpoint, &'static str> {
    let bare = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => {
            rest.strip_suffix('/').unwrap_or(rest)
        }
        Some(_) => return Err("a connector speaks https alone"),
        None => text,
    };
    bare.parse()
}

impl Target {
    /// Where the session is kept.
    pub(crate) fn session_path(&self) -> Result<PathBuf> {
        session::path(self.session.as_deref())
    }

    /// The file of a token that was made before.
    pub(crate) fn token_file(&self) -> Option<&PathBuf> {
        self.token_file.as_ref()
    }

    /// How the connector there is known from now on; without a word about it, somebody at the terminal is asked.
    pub(crate) async fn known_by(&self, server: &Endpoint) -> Result<KnownBy> {
        match (self.fingerprint, &self.ca_file) {
            (Some(fingerprint), _) => Ok(KnownBy::Fingerprint(fingerprint.to_string())),
            (None, Some(path)) => trust::issuers(path),
            (None, None) => trust::compared(server).await,
        }
    }

    /// The session that is kept, or one for this call alone.
    pub(crate) async fn find(&self) -> Result<Session> {
        let Some(server) = &self.server else {
            return Session::load(&self.session_path()?);
        };
        let Some(file) = &self.token_file else {
            let hint = "without a session, --token-file FILE (or VCC_TOKEN_FILE) says what opens it";
            return Err(Failure::usage(
                "--server",
                "names a connector, and nothing opens it",
                hint,
            ));
        };
        Ok(Session {
            server: server.clone(),
            known_by: self.known_by(server).await?,
            user: String::new(),
            credential: Credential::Token(secret::token(file)?),
        })
    }

    /// The connector of that session.
    pub(crate) async fn connector(&self) -> Result<Connector> {
        Connector::of(&self.find().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_people_and_browsers_write_it() {
        for text in ["vcc.example", "https://vcc.example", "HTTPS://vcc.example:443/"] {
            assert_eq!(endpoint(text).unwrap().to_string(), "vcc.example:443");
        }
        for wrong in [
            "",
            "https://",
            "http://vcc.example",
            "https://vcc.example/path",
            "https://user@vcc.example",
        ] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }
}
