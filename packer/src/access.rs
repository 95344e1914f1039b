//! The arguments by which a verb reaches a package, wherever it is.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ovf::certificate::TrustRoots;
use ovf::package::Source;
use packer::location::{Location, Reading};
use packer::remote::Settings;

use crate::progress::Progress;

#[derive(Debug, Args)]
pub(crate) struct Access {
    /// Authorities (PEM or DER) to trust for https, beside the system's
    #[arg(long, value_name = "FILE")]
    ca: Vec<PathBuf>,
    /// A file whose first line is user:password for the server
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

/// A file of credentials is at most this long.
const MAX_CREDENTIALS_BYTES: u64 = 4096;

/// A file of authorities is at most this long.
const MAX_CA_BYTES: u64 = 16 << 20;

impl Access {
    /// Opens a package: a file, `-`, or a URL.
    pub(crate) fn open(
        &self,
        package: &Path,
        reading: Reading,
        progress: &Progress,
    ) -> anyhow::Result<(Location, Source)> {
        let mut location = Location::of(package)?;
        if let (Location::Remote(address), Some(path)) = (&location, &self.credentials) {
            let bytes = packer::input::read_bounded(path, MAX_CREDENTIALS_BYTES)?;
            let text = String::from_utf8_lossy(&bytes);
            let first = text.lines().next().unwrap_or_default();
            location = Location::Remote(address.clone().with_credentials(first));
        }
        let mut settings = Settings::default();
        for path in &self.ca {
            let bytes = packer::input::read_bounded(path, MAX_CA_BYTES)?;
            let roots = TrustRoots::parse(&bytes).map_err(|error| error.in_member(path.display()))?;
            let roots = roots.certificates().iter();
            settings
                .authorities
                .extend(roots.map(|root| root.as_der().to_vec().into()));
        }
        let (mut source, length) = location.open_measured(reading, &settings)?;
        if reading == Reading::Whole {
            progress.watch(&mut source, length);
        }
        Ok((location, source))
    }
}

/// Dialects of archives that are read only where they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    /// PAX headers that tell a member's path
    Pax,
    /// GNU tar's headers for long names
    LongNames,
    /// More zeros after the archive's end than fill its last record
    TrailingZeros,
}

impl Dialect {
    pub(crate) fn tolerate_in(self, source: &mut Source) {
        match self {
            Self::Pax => source.tolerate_pax(),
            Self::LongNames => source.tolerate_long_names(),
            Self::TrailingZeros => source.tolerate_trailing_zeros(),
        }
    }
}
