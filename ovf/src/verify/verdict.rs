//! What a verification found.

use serde::Serialize;

use crate::certificate::Certificate;
use crate::error::{Error, Kind};

/// What one rule said about one member, or about the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The rule's stable name: the code of the [`Kind`] that its violation is.
    pub code: &'static str,
    /// What it said.
    pub outcome: Outcome,
    /// The member that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// What was found, for people.
    pub reason: String,
}

/// What a rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Fulfilled.
    Ok,
    /// Violated: the package is refused.
    Failed,
    /// Not applied, by the policy's choice or because there was nothing to apply it to.
    Skipped,
}

/// Who signed a package. Only an accepted verdict vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignerSummary {
    /// Whom the certificate names.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The SHA-256 digest of the certificate, in hexadecimal.
    pub fingerprint: String,
    /// The first second of its validity, in Unix time.
    pub not_before: i64,
    /// The last second of its validity, in Unix time.
    pub not_after: i64,
}

impl From<&Certificate> for SignerSummary {
    fn from(certificate: &Certificate) -> Self {
        SignerSummary {
            subject: certificate.subject().to_owned(),
            issuer: certificate.issuer().to_owned(),
            fingerprint: certificate.fingerprint().to_string(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
        }
    }
}

/// The judgement on a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether the package is accepted: no check failed.
    accepted: bool,
    /// Who signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<SignerSummary>,
    /// Every check, in the order that they were made.
    checks: Vec<Check>,
}

impl Verdict {
    /// Whether the package is accepted.
    pub fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Every check, in the order that they were made.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// The checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks
            .iter()
            .filter(|check| check.outcome == Outcome::Failed)
    }

    /// Who signed it, if a certificate could be read.
    pub fn signer(&self) -> Option<&SignerSummary> {
        self.signer.as_ref()
    }
}

/// The checks made so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    checks: Vec<Check>,
    pub(super) signer: Option<SignerSummary>,
}

impl Report {
    pub(super) fn ok(&mut self, kind: Kind, member: Option<&str>, reason: impl Into<String>) {
        self.add(kind, Outcome::Ok, member, reason.into());
    }

    pub(super) fn skipped(&mut self, kind: Kind, member: Option<&str>, reason: impl Into<String>) {
        self.add(kind, Outcome::Skipped, member, reason.into());
    }

    pub(super) fn failed(&mut self, kind: Kind, member: Option<&str>, reason: impl Into<String>) {
        self.add(kind, Outcome::Failed, member, reason.into());
    }

    /// A failure by an error, about `member` unless the error names another.
    pub(super) fn refused(&mut self, error: &Error, member: Option<&str>) {
        let named = error.place().member.as_deref().or(member).map(str::to_owned);
        self.add(
            error.kind(),
            Outcome::Failed,
            named.as_deref(),
            error.with_causes(),
        );
    }

    /// `ok` or the error, under the rule `kind`.
    pub(super) fn result(
        &mut self,
        kind: Kind,
        result: Result<(), Error>,
        member: Option<&str>,
        reason: &str,
    ) {
        match result {
            Ok(()) => self.ok(kind, member, reason),
            Err(error) => self.refused(&error, member),
        }
    }

    pub(super) fn into_verdict(self) -> Verdict {
        // A verdict without a single check is a bug, not a good package.
        let accepted =
            !self.checks.is_empty() && self.checks.iter().all(|check| check.outcome != Outcome::Failed);
        Verdict {
            accepted,
            signer: self.signer,
            checks: self.checks,
        }
    }

    fn add(&mut self, kind: Kind, outcome: Outcome, member: Option<&str>, reason: String) {
        self.checks.push(Check {
            code: kind.code(),
            outcome,
            member: member.map(str::to_owned),
            reason,
        });
    }
}
