//! What `vcc up` tells when all of it works.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::ADMINISTRATOR;
use super::folder::Folder;
use super::member::Member;
use crate::error::Result;

/// Where everything is, and how to get in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The directory.
    pub state: PathBuf,
    /// The certificates of all three, in PEM.
    pub ca_file: PathBuf,
    /// The administrator's name, everywhere.
    pub user: &'static str,
    /// The administrator's password, everywhere.
    pub password_file: PathBuf,
    /// The administrator's token on the server.
    pub token_file: PathBuf,
    /// The server.
    pub server: Place,
    /// The nodes.
    pub nodes: Vec<Place>,
}

/// A connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its name, which is its cloud's too.
    pub name: &'static str,
    /// The node's id on the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it answers.
    pub url: String,
    /// SHA-256 of its certificate.
    pub fingerprint: String,
    /// The administrator's token there.
    pub token_file: PathBuf,
}

impl Told {
    pub(super) fn of<'a>(
        folder: &Folder,
        server: &Member,
        nodes: impl Iterator<Item = (&'a Member, String)>,
    ) -> Result<Self> {
        let mut pem = server.identity().certificate_pem();
        let nodes = nodes
            .map(|(node, id)| {
                pem.push_str(&node.identity().certificate_pem());
                Place::of(node, Some(id))
            })
            .collect();
        Ok(Self {
            state: folder.path().to_owned(),
            ca_file: folder.keep_certificates(&pem)?,
            user: ADMINISTRATOR,
            password_file: folder.password_file(),
            token_file: server.token_file(),
            server: Place::of(server, None),
            nodes,
        })
    }
}

impl Place {
    fn of(member: &Member, id: Option<String>) -> Self {
        Self {
            name: member.name(),
            id,
            url: format!("https://{}", member.address()),
            fingerprint: member.identity().fingerprint().to_string(),
            token_file: member.token_file(),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "server  {}/", self.server.url)?;
        for node in &self.nodes {
            writeln!(f, "node    {}/  in cloud {}, LIVE", node.url, node.name)?;
        }
        writeln!(
            f,
            "login   {}, with the password in {}\n",
            self.user,
            self.password_file.display()
        )?;
        writeln!(
            f,
            "Try:    vcc --server {} --ca-file {} --token-file {} node list",
            self.server.url,
            self.ca_file.display(),
            self.token_file.display()
        )?;
        write!(f, "Ctrl-C stops it; what is in {} stays.", self.state.display())
    }
}
