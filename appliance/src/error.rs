//! The crate's one error: a kind to match, a place, a reason and what lies beneath.

use std::fmt;
use std::path::Path;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something in the runtime could not be done.
///
/// Programs match [`Error::kind`]; people read the message, which names the place and the reason, and the chain of
/// sources below it (see [`Error::chain`]).
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct Error {
    kind: Kind,
    place: String,
    reason: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The sort of failure; its [`code`](Kind::code) never changes once released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The operating system refused a read, a write or another call.
    Io,
    /// There is no state disk.
    StateMissing,
    /// The state disk or a file on it is damaged.
    StateCorrupt,
    /// The state disk has no space left.
    StateFull,
    /// The state disk cannot be written.
    StateReadOnly,
    /// The state directory is another user's.
    StateOwner,
    /// Another process uses the state directory.
    StateLocked,
    /// The stored identity cannot be used.
    Identity,
    /// The address to serve on cannot be used.
    Listen,
    /// Key or certificate do not make a TLS server.
    Tls,
    /// The OVF environment, or a property in it, cannot be used.
    Environment,
    /// A network interface refused its configuration.
    Network,
    /// A message from outside breaks its format's rules.
    Malformed,
    /// A kernel module could not be loaded.
    Module,
    /// Input is larger than its ceiling.
    Ceiling,
    /// A statement of the database failed.
    Database,
    /// A name is in use.
    Taken,
    /// There is no such thing.
    Unknown,
    /// It has changed since it was read.
    Changed,
    /// Bytes don't go on where the last ones ended.
    Offset,
    /// Not all of it is there yet.
    Incomplete,
    /// It is not what its digest says.
    Mismatch,
    /// Another connector can't be reached, or not be talked to.
    Unreachable,
    /// Another connector is not the one that was meant.
    Stranger,
    /// Another connector refuses.
    Refused,
    /// Another connector's certificate is not valid by this machine's clock.
    Clock,
}

impl Kind {
    /// A stable code for programs, such as `vcc.state-full`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Io => "vcc.io",
            Self::StateMissing => "vcc.state-missing",
            Self::StateCorrupt => "vcc.state-corrupt",
            Self::StateFull => "vcc.state-full",
            Self::StateReadOnly => "vcc.state-read-only",
            Self::StateOwner => "vcc.state-owner",
            Self::StateLocked => "vcc.state-locked",
            Self::Identity => "vcc.identity",
            Self::Listen => "vcc.listen",
            Self::Tls => "vcc.tls",
            Self::Environment => "vcc.environment",
            Self::Network => "vcc.network",
            Self::Malformed => "vcc.malformed",
            Self::Module => "vcc.module",
            Self::Ceiling => "vcc.ceiling",
            Self::Database => "vcc.database",
            Self::Taken => "vcc.taken",
            Self::Unknown => "vcc.unknown",
            Self::Changed => "vcc.changed",
            Self::Offset => "vcc.offset",
            Self::Incomplete => "vcc.incomplete",
            Self::Mismatch => "vcc.mismatch",
            Self::Unreachable => "vcc.unreachable",
            Self::Stranger => "vcc.stranger",
            Self::Refused => "vcc.refused",
            Self::Clock => "vcc.clock",
        }
    }
}

impl Error {
    /// A failure of `kind` at `place` (a path, an interface, an address), for `reason`.
    pub fn new(kind: Kind, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            kind,
            place: place.into(),
            reason: reason.into(),
            source: None,
        }
    }

    /// The same failure with what caused it.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The system refused to do `what` with `path`; a full or read-only disk gets its own kind.
    pub fn file(path: &Path, what: &str, source: std::io::Error) -> Self {
        let kind = match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Kind::StateFull,
            std::io::ErrorKind::ReadOnlyFilesystem => Kind::StateReadOnly,
            _ => Kind::Io,
        };
        Self::new(kind, path.display().to_string(), format!("cannot {what}")).because(source)
    }

    /// The sort of failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it is.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The same at a place that is known better.
    #[must_use]
    pub fn at(self, place: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            ..self
        }
    }

    /// The reason without the place.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The message with every source behind it, joined by `: `, as one line for people.
    pub fn chain(&self) -> impl fmt::Display + '_ {
        Chain(self)
    }
}

struct Chain<'a>(&'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = std::error::Error::source(self.0);
        while let Some(source) = next {
            write!(f, ": {source}")?;
            next = source.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_full_or_read_only_disk_has_its_own_kind() {
        let path = Path::new("/state/boots");
        let full = Error::file(path, "write", io::Error::from_raw_os_error(28));
        let read_only = Error::file(path, "write", io::Error::from_raw_os_error(30));
        assert_eq!(
            (full.kind(), read_only.kind()),
            (Kind::StateFull, Kind::StateReadOnly)
        );
    }

    #[test]
    fn the_chain_names_place_reason_and_sources() {
        let error = Error::file(
            Path::new("/state/boots"),
            "write",
            io::Error::other("the cable fell out"),
        );
        assert_eq!(
            error.chain().to_string(),
            "/state/boots: cannot write: the cable fell out"
        );
    }
}
