use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::recipe::Spot;
use crate::remote::Address;

/// What went wrong in building, verifying or running an appliance.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A recipe or lock file says something that can't be done.
    #[error("{}{}: {reason}", path.display(), Place(*spot))]
    Recipe {
        /// The file.
        path: PathBuf,
        /// Line and column, where known.
        spot: Option<Spot>,
        /// What is wrong with it.
        reason: String,
    },
    /// A file couldn't be read or written.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done to it.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// A Debian package is missing, unlocked or not what the lock says.
    #[error("Debian package {name}: {reason}")]
    Debian {
        /// Package name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A program that is needed is absent or failed.
    #[error("{program}: {reason}")]
    Program {
        /// What was run.
        program: String,
        /// How it failed, with what it printed.
        reason: String,
    },
    /// A server can't be reached, or doesn't answer as it should.
    #[error("{address}: {reason}")]
    Remote {
        /// The URL, without its secrets.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The package can't be accepted.
    #[error("refused: {0}")]
    Refused(String),
    /// What was asked for can't be done this way.
    #[error("{0}")]
    Usage(String),
    /// The OVF side.
    #[error(transparent)]
    Ovf(#[from] ovf::Error),
    /// The disk side.
    #[error(transparent)]
    Image(#[from] image::error::Error),
    /// A manager of a virtual data centre.
    #[error(transparent)]
    Vdc(#[from] vdc::error::Error),
}

/// The outcome of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn recipe(path: &Path, spot: Option<Spot>, reason: impl Into<String>) -> Self {
        Self::Recipe {
            path: path.to_owned(),
            spot,
            reason: reason.into(),
        }
    }

    /// For `map_err`: an I/O error gets its file and the action that failed.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    pub(crate) fn debian(name: &str, reason: impl Into<String>) -> Self {
        Self::Debian {
            name: name.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn remote(address: &Address, reason: impl Into<String>) -> Self {
        Self::Remote {
            address: address.to_string(),
            reason: reason.into(),
        }
    }

    /// What a reader of remote files reports through [`io::Error`] is an error of this type.
    pub(crate) fn from_remote(error: io::Error) -> Self {
        error
            .downcast()
            .unwrap_or_else(|other| ovf::Error::new(ovf::Kind::Io, "reading").caused_by(other).into())
    }

    pub(crate) fn program(program: &str, reason: impl fmt::Display) -> Self {
        Self::Program {
            program: program.to_owned(),
            reason: reason.to_string(),
        }
    }
}

struct Place(Option<Spot>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |spot| write!(f, ":{spot}"))
    }
}
