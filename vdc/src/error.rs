//! The crate's one error: a kind to match, the target and object it is about, a reason.

use std::fmt;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a manager could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{}{reason}", Place(place))]
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
    /// The manager can't be reached, or a program that reaches it is missing.
    Unreachable,
    /// The manager answered in a way that nobody understands.
    Answer,
    /// The manager refused.
    Refused,
    /// There is no such pool, network or machine.
    Missing,
    /// A name is in use.
    Taken,
    /// The machine is off where it should be on.
    Off,
    /// The manager can't do this at all.
    Unsupported,
    /// It took too long.
    Timeout,
    /// Whoever asked has had enough.
    Stopped,
    /// What was asked for can't be asked for.
    Invalid,
    /// A disk could not be read.
    Disk,
}

impl Kind {
    /// A stable code for programs, such as `vdc.name-taken`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "vdc.unreachable",
            Self::Answer => "vdc.answer",
            Self::Refused => "vdc.refused",
            Self::Missing => "vdc.missing",
            Self::Taken => "vdc.name-taken",
            Self::Off => "vdc.machine-off",
            Self::Unsupported => "vdc.unsupported",
            Self::Timeout => "vdc.timeout",
            Self::Stopped => "vdc.stopped",
            Self::Invalid => "vdc.invalid",
            Self::Disk => "vdc.disk",
        }
    }
}

impl Error {
    pub(crate) fn new(kind: Kind, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            kind,
            place: place.into(),
            reason: reason.into(),
            source: None,
        }
    }

    pub(crate) fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The same, with what could not be undone.
    pub(crate) fn leaving(mut self, left: &[String]) -> Self {
        if !left.is_empty() {
            self.reason = format!("{}; this could not be removed: {}", self.reason, left.join(", "));
        }
        self
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its code.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            place => write!(f, "{place}: "),
        }
    }
}
