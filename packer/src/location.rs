//! Where a package is: what the verbs that read one take as their argument.

use std::fmt;
use std::path::{Path, PathBuf};

use ovf::package::Source;

use crate::error::{Error, Result};
use crate::remote::{Address, Client, Download, RemoteArchive, RemoteFolder, Settings};

/// A package's place. It is shown without the secrets that a URL may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Standard input: an archive as it comes.
    Input,
    /// A file: an archive, or a descriptor with its files beside it.
    File(PathBuf),
    /// A file on a server, likewise.
    Remote(Address),
}

/// How much of a package will be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Small parts here and there.
    Parts,
    /// All of it, once.
    Whole,
}

impl Location {
    /// What an argument means: `-`, a URL of `http` or `https`, or a file.
    ///
    /// # Errors
    /// [`Error::Usage`] for a URL that is none, or that holds a password: an argument is seen by every user of the
    /// machine.
    pub fn of(argument: &Path) -> Result<Self> {
        match argument.to_str() {
            Some("-") => Ok(Self::Input),
            Some(text) if Address::is_meant_by(text) => {
                let address = Address::parse(text)?;
                if address.has_password() {
                    let reason = "a password in a URL is seen by every user of this machine; put it into a file for \
                                  --credentials";
                    return Err(Error::Usage(format!("{address}: {reason}")));
                }
                Ok(Self::Remote(address))
            }
            _ => Ok(Self::File(argument.to_owned())),
        }
    }

    /// The file, where it is one of this machine's.
    ///
    /// # Errors
    /// [`Error::Usage`] for every other place.
    pub fn local(&self) -> Result<&Path> {
        match self {
            Self::File(path) => Ok(path),
            Self::Input | Self::Remote(_) => {
                Err(Error::Usage(format!("{self}: this needs a file on this machine")))
            }
        }
    }

    /// Opens the package at its beginning.
    ///
    /// # Errors
    /// It cannot be opened, or its server does not serve parts of files.
    pub fn open(&self, reading: Reading, settings: &Settings) -> Result<Source> {
        Ok(self.open_measured(reading, settings)?.0)
    }

    /// As [`Location::open`]; and an archive's length in bytes, as far as that is known before it is read.
    ///
    /// # Errors
    /// As [`Location::open`].
    pub fn open_measured(&self, reading: Reading, settings: &Settings) -> Result<(Source, Option<u64>)> {
        let address = match self {
            Self::Input => return Ok((Source::stream(std::io::stdin()), None)),
            Self::File(path) => {
                let source = Source::open(path)?;
                let length = source.is_archive().then(|| path.metadata().ok()).flatten();
                let length = length.filter(|it| it.is_file()).map(|it| it.len());
                return Ok((source, length));
            }
            Self::Remote(address) => address,
        };
        let client = Client::new(settings);
        if address.is_descriptor() {
            let folder = RemoteFolder::of(&client, address)?;
            let name = folder.descriptor_name().clone();
            return Ok((Source::folder(folder, name), None));
        }
        match reading {
            Reading::Parts => {
                let archive = RemoteArchive::open(&client, address).map_err(Error::from_remote)?;
                Ok((Source::seekable(archive), None))
            }
            Reading::Whole => {
                let download = Download::open(&client, address).map_err(Error::from_remote)?;
                let length = download.left();
                Ok((Source::stream(download), length))
            }
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
            Self::Remote(address) => address.fmt(f),
        }
    }
}
