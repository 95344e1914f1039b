//! The directory of `vcc up`.
//!
//! ```text
//! DIR/{server,north,south}/           state directories
//! DIR/up.json                         the ports
//! DIR/password                        the administrator's
//! DIR/{server,north,south}.token      tokens of the administrator
//! DIR/ca.pem                          the three certificates
//! ```

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::file;
use crate::setup::Code;

const PORTS: &str = "up.json";
const PASSWORD: &str = "password";
const CERTIFICATES: &str = "ca.pem";

/// The directory.
pub(super) struct Folder(PathBuf);

#[derive(Serialize, Deserialize)]
struct Kept {
    /// Of the server, then of the nodes.
    ports: Vec<u16>,
}

impl Folder {
    /// Makes it (mode 0700) where it is missing.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::file(path, "make the directory", error);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        // Nodes and people are told of files in it.
        std::path::absolute(path).map(Self).map_err(failed)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn ports(&self) -> Result<Vec<u16>> {
        let Some(text) = self.read(PORTS)? else {
            return Ok(Vec::new());
        };
        let kept = serde_json::from_str::<Kept>(&text);
        let place = self.0.join(PORTS).display().to_string();
        Ok(kept
            .map_err(|error| Error::new(Kind::StateCorrupt, place, "is damaged").because(error))?
            .ports)
    }

    pub(super) fn keep_ports(&self, ports: impl Iterator<Item = u16>) -> Result<()> {
        let kept = Kept {
            ports: ports.collect(),
        };
        let text = serde_json::to_string(&kept)
            .map_err(|error| Error::new(Kind::Malformed, PORTS, "cannot be kept").because(error))?;
        file::replace_durably(&self.0, PORTS, text.as_bytes())
    }

    /// The administrator's password, which is there before anybody has it.
    pub(super) fn password(&self) -> Result<String> {
        if let Some(known) = self.read(PASSWORD)? {
            return Ok(known);
        }
        let new = Code::new()?.to_string();
        file::replace_durably(&self.0, PASSWORD, format!("{new}\n").as_bytes())?;
        Ok(new)
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.0.join(PASSWORD)
    }

    pub(super) fn token(&self, name: &str) -> Result<Option<String>> {
        self.read(&token(name))
    }

    pub(super) fn keep_token(&self, name: &str, secret: &str) -> Result<()> {
        file::replace_durably(&self.0, &token(name), format!("{secret}\n").as_bytes())
    }

    pub(super) fn token_file(&self, name: &str) -> PathBuf {
        self.0.join(token(name))
    }

    /// Writes the certificates, for clients to trust.
    pub(super) fn keep_certificates(&self, pem: &str) -> Result<PathBuf> {
        file::replace_durably(&self.0, CERTIFICATES, pem.as_bytes())?;
        Ok(self.0.join(CERTIFICATES))
    }

    fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.0.join(name);
        match path.symlink_metadata() {
            Ok(_) => file::text(&path).map(|text| Some(text.trim().to_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(&path, "read", error)),
        }
    }
}

fn token(name: &str) -> String {
    format!("{name}.token")
}
