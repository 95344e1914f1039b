//! What a check of a disk image's structure found.

use std::fmt;

use crate::error::{Error, Place};

/// Findings that are kept; more are counted.
const LIMIT: usize = 64;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing: something was not checked, or is unusual.
    Note,
    /// Space that nothing uses is marked as used. The disk reads well.
    Leak,
    /// The structure contradicts itself: data read from the disk cannot be trusted.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Leak => "leak",
            Self::Error => "error",
        })
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where in the image.
    pub place: Place,
    /// What is the matter.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.severity, self.place, self.reason)
    }
}

/// The findings of one check, at most 64 of them, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Findings {
    list: Vec<Finding>,
    omitted: u64,
    errors: u64,
}

impl Findings {
    /// The findings that were kept.
    pub fn list(&self) -> &[Finding] {
        &self.list
    }

    /// How many more there were.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Whether no [`Severity::Error`] was found.
    pub fn is_sound(&self) -> bool {
        self.errors == 0
    }

    /// Each of these as an error.
    pub(crate) fn of_errors(errors: Vec<Error>) -> Self {
        let mut findings = Self::default();
        for error in errors {
            findings.add(Severity::Error, error.place().clone(), error.reason());
        }
        findings
    }

    pub(crate) fn add(&mut self, severity: Severity, place: Place, reason: impl Into<String>) {
        self.errors += u64::from(severity == Severity::Error);
        if self.list.len() == LIMIT {
            self.omitted += 1;
            return;
        }
        let reason = reason.into();
        self.list.push(Finding {
            severity,
            place,
            reason,
        });
    }

    pub(crate) fn error(&mut self, at: u64, reason: impl Into<String>) {
        self.add(Severity::Error, Place::Offset(at), reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_bounded_and_none_is_forgotten() {
        let mut findings = Findings::default();
        findings.add(Severity::Leak, Place::Whole, "a leak");
        assert!(findings.is_sound());
        for at in 0..100 {
            findings.error(at, "overlap");
        }
        assert!(!findings.is_sound());
        assert_eq!((findings.list().len(), findings.omitted()), (64, 37));
        assert_eq!(findings.list()[1].to_string(), "error: byte 0: overlap");
    }
}
