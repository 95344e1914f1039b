//! The crate's one error: a kind to match, a place, a reason and what lies beneath.

use std::fmt;

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image could not be read or made.
///
/// Programs match [`Error::kind`]; people read the message, which names the place and the reason, and the chain of
/// sources below it.
#[derive(Debug, thiserror::Error)]
#[error("{place}{reason}")]
pub struct Error {
    kind: Kind,
    place: Place,
    reason: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The sort of failure; its [`code`](Kind::code) never changes once released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The operating system refused to read or write.
    Io,
    /// Input ended before what it promised.
    Truncated,
    /// Input breaks its format's rules.
    Malformed,
    /// A stored checksum does not match what it covers.
    Checksum,
    /// Well formed, yet a variant that this crate does not read.
    Unsupported,
    /// Input asks for more than a ceiling allows.
    Ceiling,
    /// Two things claim the same place or name.
    Overlap,
    /// Something given does not fit the space meant for it.
    Capacity,
    /// A name, path or parameter given by the caller cannot be used.
    Invalid,
    /// A kernel module that was asked for does not exist.
    ModuleMissing,
    /// Kernel modules that need each other in a ring.
    ModuleCycle,
    /// Contents that should be equal are not.
    Differs,
    /// Input was changed while it was read.
    Changed,
}

impl Kind {
    /// A stable code for programs, such as `image.module-missing`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Io => "image.io",
            Self::Truncated => "image.truncated",
            Self::Malformed => "image.malformed",
            Self::Checksum => "image.checksum",
            Self::Unsupported => "image.unsupported",
            Self::Ceiling => "image.ceiling",
            Self::Overlap => "image.overlap",
            Self::Capacity => "image.capacity",
            Self::Invalid => "image.invalid",
            Self::ModuleMissing => "image.module-missing",
            Self::ModuleCycle => "image.module-cycle",
            Self::Differs => "image.differs",
            Self::Changed => "image.changed",
        }
    }
}

/// Where in the input (or in the image being made) a failure lies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The image as a whole.
    Whole,
    /// A byte offset from the image's start.
    Offset(u64),
    /// A line of a text, counted from 1.
    Line(usize),
    /// A partition, by its name.
    Partition(String),
    /// A file or directory, by its path.
    File(String),
    /// A kernel module, by its name.
    Module(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Offset(at) => write!(f, "byte {at}: "),
            Self::Line(number) => write!(f, "line {number}: "),
            Self::Partition(name) => write!(f, "partition {name}: "),
            Self::File(path) => write!(f, "{path}: "),
            Self::Module(name) => write!(f, "kernel module {name}: "),
        }
    }
}

impl Error {
    /// An error without a deeper source.
    pub fn new(kind: Kind, place: Place, reason: impl Into<String>) -> Self {
        Self {
            kind,
            place,
            reason: reason.into(),
            source: None,
        }
    }

    /// The same error, with what caused it.
    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// The same error at a more telling place: used where a caller knows the file or partition that a callee did not.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.reason = format!("{}{}", self.place, self.reason);
        self.place = place;
        self
    }

    /// The sort of failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it happened.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Why, without the place.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What the operating system said while `doing` something at `place`.
    pub fn io(place: Place, doing: &str, source: std::io::Error) -> Self {
        let kind = if source.kind() == std::io::ErrorKind::UnexpectedEof {
            Kind::Truncated
        } else {
            Kind::Io
        };
        Self::new(kind, place, format!("cannot {doing}")).because(source)
    }

    pub(crate) fn malformed(place: Place, reason: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, place, reason)
    }

    pub(crate) fn invalid(place: Place, reason: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, place, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_place_then_reason() {
        let error = Error::malformed(Place::Offset(512), "bad magic").at(Place::Partition("slot-a".into()));
        assert_eq!(error.to_string(), "partition slot-a: byte 512: bad magic");
        assert_eq!(error.kind().code(), "image.malformed");
    }

    #[test]
    fn an_early_end_is_told_from_other_io_failures() {
        let error = Error::io(Place::Whole, "read", std::io::ErrorKind::UnexpectedEof.into());
        assert_eq!(error.kind(), Kind::Truncated);
    }
}
