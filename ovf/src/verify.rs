//! Whether a package is what its publisher made, and whether the publisher is trusted.
//!
//! One pass over an archive or a folder, in constant memory, gives a [`Verdict`]: a list of [`Check`]s, each under the
//! code of the rule it applied ([`crate::Kind::code`]), with its outcome and the member it concerns. A package is accepted if
//! no check failed. No rule is waived in silence: a [`Policy`] names what it tolerates.
//!
//! ```no_run
//! use ovf::package::Source;
//! use ovf::verify::{Policy, verify};
//!
//! let mut source = Source::open("product.ova".as_ref())?;
//! let verdict = verify(&mut source, &Policy::at(1_700_000_000));
//! for check in verdict.failures() {
//!     eprintln!("{}: {}", check.code, check.reason);
//! }
//! # Ok::<(), ovf::Error>(())
//! ```
//!
//! The attacks that it stops: a member changed, added, dropped, doubled, renamed or moved; a manifest that leaves a
//! file out, the descriptor above all; manifest or certificate stripped where they are required; weak digests and
//! keys; a signer who is expired, not trusted, or not meant to sign. A disk's inside is not this module's matter.

mod certificate;
mod contents;
mod expectation;
mod manifest;
mod run;
mod verdict;

use crate::certificate::TrustRoots;
use crate::package::Source;

pub use self::verdict::{Check, Outcome, SignerSummary, Verdict};

/// What a package must fulfil.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Who is trusted. Where anybody is, a signature that leads to one is required.
    pub roots: TrustRoots,
    /// Whether an unsigned package is refused, though nobody is trusted by name.
    pub require_signature: bool,
    /// Whether a package without manifest is refused.
    pub require_manifest: bool,
    /// The time, in Unix time: certificates are valid or not at this moment.
    pub now: i64,
    /// What is let pass.
    pub tolerances: Vec<Tolerance>,
}

/// A rule that a policy waives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tolerance {
    /// Digests and signatures of SHA-1, which OVF 1.0 prescribed.
    Sha1,
    /// Members in another order than DSP0243 5.3 gives. The descriptor must still be first.
    MemberOrder,
    /// A signer's certificate past its validity: a package outlives its publisher's certificate.
    ExpiredCertificate,
    /// More zeros after the archive's end than fill its last record.
    TrailingZeros,
}

impl Tolerance {
    /// Every tolerance.
    pub const ALL: [Self; 4] = [
        Self::Sha1,
        Self::MemberOrder,
        Self::ExpiredCertificate,
        Self::TrailingZeros,
    ];

    /// The tolerance's name, for settings and command lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::MemberOrder => "member-order",
            Self::ExpiredCertificate => "expired-certificate",
            Self::TrailingZeros => "trailing-zeros",
        }
    }

    /// The tolerance of a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tolerance| tolerance.name() == name)
    }
}

impl Policy {
    /// The default at a time: a manifest is required, a signature is checked if there is one, nobody is trusted by
    /// name, nothing is tolerated.
    pub fn at(now: i64) -> Self {
        Policy {
            roots: TrustRoots::default(),
            require_signature: false,
            require_manifest: true,
            now,
            tolerances: Vec::new(),
        }
    }

    /// The same policy, requiring a signature that leads to one of `roots`.
    #[must_use]
    pub fn trusting(self, roots: TrustRoots) -> Self {
        Policy {
            roots,
            require_signature: true,
            ..self
        }
    }

    fn tolerates(&self, tolerance: Tolerance) -> bool {
        self.tolerances.contains(&tolerance)
    }

    fn wants_signature(&self) -> bool {
        // Whoever names roots and takes unsigned packages has roots that a thief gets around by stripping two files.
        self.require_signature || !self.roots.is_empty()
    }
}

/// Reads a package from its first byte to its last, and judges it.
///
/// The source must stand at its beginning. What goes wrong on the way is part of the verdict, reading included.
pub fn verify(source: &mut Source, policy: &Policy) -> Verdict {
    run::Run::new(policy, source.is_archive()).over(source)
}

#[cfg(test)]
mod tests;
