//! What a verification found.

use serde::Serialize;

use super::{Policy, SignerSummary, Tolerance};
use crate::error::{Error, Kind};

/// What one rule said about one member, or about the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The rule's stable name: the code of the [`Kind`] that its violation is.
    pub code: &'static str,
    /// What it said.
    pub outcome: Outcome,
    /// The tolerance that was made use of, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<&'static str>,
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
    /// Violated, and let pass by a tolerance that the policy names.
    Tolerated,
    /// Not applied: the policy doesn't ask for it, or there was nothing to apply it to.
    Skipped,
}

/// The judgement on a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether the package is accepted: no check failed.
    accepted: bool,
    /// Who signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<SignerSummary>,
    /// The tolerances that were made use of.
    tolerated: Vec<&'static str>,
    /// Every check, in the order that they were made.
    checks: Vec<Check>,
}

impl Verdict {
    /// Whether the package is accepted.
    pub fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Whether it was signed by somebody whom the policy trusts.
    pub fn is_trusted(&self) -> bool {
        let rule = |check: &&Check| check.code == Kind::CertificateUntrusted.code();
        let mut checks = self.checks.iter().filter(rule).peekable();
        // The rule is about the links of the path as well as about its end; of a package that nobody signed there are none.
        self.accepted && checks.peek().is_some() && checks.all(|check| check.outcome == Outcome::Ok)
    }

    /// The tolerances that were made use of, by their names, each once.
    pub fn tolerated(&self) -> &[&'static str] {
        &self.tolerated
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
        self.add(kind, Outcome::Ok, member, reason.into(), None);
    }

    pub(super) fn skipped(&mut self, kind: Kind, member: Option<&str>, reason: impl Into<String>) {
        self.add(kind, Outcome::Skipped, member, reason.into(), None);
    }

    pub(super) fn failed(&mut self, kind: Kind, member: Option<&str>, reason: impl Into<String>) {
        self.add(kind, Outcome::Failed, member, reason.into(), None);
    }

    /// A failure, unless the policy has the tolerance for it.
    pub(super) fn violated(
        &mut self,
        policy: &Policy,
        tolerance: Tolerance,
        kind: Kind,
        member: Option<&str>,
        reason: impl Into<String>,
    ) {
        if policy.tolerates(tolerance) {
            let reason = format!("{}; the policy tolerates it", reason.into());
            self.add(kind, Outcome::Tolerated, member, reason, Some(tolerance));
        } else {
            self.failed(kind, member, reason);
        }
    }

    /// Whether the rule `kind` has failed already.
    pub(super) fn has_failed(&self, kind: Kind) -> bool {
        let mut checks = self.checks.iter();
        checks.any(|check| check.code == kind.code() && check.outcome == Outcome::Failed)
    }

    /// A failure by an error, about `member` unless the error names another.
    pub(super) fn refused(&mut self, error: &Error, member: Option<&str>) {
        let named = error.place().member.as_deref().or(member).map(str::to_owned);
        self.add(
            error.kind(),
            Outcome::Failed,
            named.as_deref(),
            error.with_causes(),
            None,
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
        let mut tolerated: Vec<_> = self.checks.iter().filter_map(|check| check.tolerance).collect();
        tolerated.sort_unstable();
        tolerated.dedup();
        Verdict {
            accepted,
            tolerated,
            signer: self.signer,
            checks: self.checks,
        }
    }

    fn add(
        &mut self,
        kind: Kind,
        outcome: Outcome,
        member: Option<&str>,
        reason: String,
        tolerance: Option<Tolerance>,
    ) {
        self.checks.push(Check {
            code: kind.code(),
            outcome,
            tolerance: tolerance.map(Tolerance::name),
            member: member.map(str::to_owned),
            reason,
        });
    }
}
