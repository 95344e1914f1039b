//! What is kept between two verbs: which connector, how it is known, and what opens it.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::failure::{Failure, Result};
use crate::access::Secret;
use crate::client::{Client, Trust};
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind};
use crate::file::PrivateFile;
use crate::resolver::Resolver;

/// The longest file in bytes: issuers' certificates are in it.
const LIMIT: u64 = 1 << 20;
/// Whoever is logged in, and where.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    pub(crate) server: Endpoint,
    pub(crate) known_by: KnownBy,
    /// The user's name, as the connector told it.
    pub(crate) user: String,
    pub(crate) credential: Credential,
}

/// How the connector is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KnownBy {
    /// The SHA-256 fingerprint of its certificate.
    Fingerprint(String),
    /// Who issued its certificate, in PEM.
    Issuers(String),
}

/// What is shown to the connector.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Credential {
    /// The token of a session, which ends by logging out.
    Session(String),
    /// A token that was made before, and outlives logging out.
    Token(String),
}

impl Credential {
    pub(crate) fn secret(&self) -> Secret {
        let (Self::Session(text) | Self::Token(text)) = self;
        Secret::shown(text)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

impl KnownBy {
    /// As TLS judges it.
    pub(super) fn trust(&self) -> Result<Trust, Error> {
        match self {
            Self::Issuers(pem) => Trust::issuers(pem.as_bytes()),
            Self::Fingerprint(text) => {
                let wrong = |reason: &str| Error::new(Kind::Malformed, "the fingerprint", reason);
                text.parse().map(Trust::Fingerprint).map_err(wrong)
            }
        }
    }
}

/// Where the session is: what was named, or `vcc/session.json` in the user's configuration.
pub(super) fn path(named: Option<&Path>) -> Result<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    // A relative one is to be ignored (XDG Base Directory Specification).
    let configuration = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let home = || variable("HOME").map(|home| home.join(".config"));
    let Some(configuration) = configuration.or_else(home) else {
        return Err(Failure::usage(
            "the session",
            "neither XDG_CONFIG_HOME nor HOME says where it is kept",
            "--session FILE does",
        ));
    };
    Ok(configuration.join("vcc/session.json"))
}

impl Session {
    /// Reads the one at `path`.
    ///
    /// Somebody else's file, or one that others can read, is refused: what is in it opens the connector.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let place = || path.display().to_string();
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Failure::usage(
                    place(),
                    "nobody is logged in",
                    "vcc login HOST begins a session; scripts use --server, --token-file and --ca-file",
                ));
            }
            Err(error) => return Err(Error::file(path, "open", error).into()),
        };
        let failed = |error| Error::file(path, "read", error);
        let metadata = file.metadata().map_err(failed)?;
        if metadata.mode() & 0o077 != 0 {
            let reason = "can be read by others: remove it and log in again, or chmod 600 it";
            return Err(Error::new(Kind::Io, place(), reason).into());
        }
        let mut bytes = Vec::new();
        file.by_ref()
            .take(LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > LIMIT {
            return Err(Error::new(Kind::Ceiling, place(), format!("is longer than {LIMIT} bytes")).into());
        }
        let session = serde_json::from_slice(&bytes).map_err(|error| {
            // The error itself may repeat what is there.
            let (line, column) = (error.line(), error.column());
            let reason = format!("line {line}, column {column}: is no session: remove it and log in again");
            Error::new(Kind::Malformed, place(), reason)
        });
        Ok(session?)
    }

    /// Keeps it at `path`, whole or not at all, for its owner alone.
    pub(crate) fn keep(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::new(Kind::Malformed, "the session", "cannot be kept").because(error))?;
        if let Some(directory) = path.parent().filter(|directory| *directory != Path::new("")) {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(directory);
            made.map_err(|error| Error::file(directory, "make", error))?;
        }
        Ok(PrivateFile::create(path)?.keep(&bytes)?)
    }

    /// A client that knows the connector.
    pub(super) fn client(&self) -> Result<Client> {
        let (server, trust) = (self.server.clone(), self.known_by.trust()?);
        Ok(Client::new(server, Resolver::default(), trust, None)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_session_is_kept_for_its_owner_alone_and_refused_where_others_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/vcc/session.json");
        assert!(matches!(Session::load(&path), Err(Failure::Usage(_))));
        let session = Session {
            server: "vcc.example:443".parse().unwrap(),
            known_by: KnownBy::Fingerprint("AB".repeat(32)),
            user: "root".to_owned(),
            credential: Credential::Session("vcc_secret".to_owned()),
        };
        session.keep(&path).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let read = Session::load(&path).unwrap();
        assert_eq!(read.credential.secret().reveal(), "vcc_secret");
        assert_eq!(read.server, session.server);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Session::load(&path).err().unwrap();
        assert!(refused.to_string().contains("can be read by others"), "{refused}");
    }

    #[test]
    fn a_damaged_session_is_named_and_none_of_it_shown() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("session.json");
        PrivateFile::create(&path)
            .unwrap()
            .keep(br#"{"server": "vcc.example:443", "credential": "vcc_secret"}"#)
            .unwrap();
        let told = Session::load(&path).err().unwrap().to_string();
        assert!(
            told.contains("is no session") && !told.contains("vcc_secret"),
            "{told}"
        );
    }
}
