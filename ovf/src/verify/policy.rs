use super::Tolerance;
use crate::certificate::{KeyPin, MIN_KEY_BITS, Revocation, Trust, TrustRoots};
use crate::manifest::DigestAlgorithm;
use crate::package::Source;

/// What a package must fulfil.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Who is trusted. Where anybody is, a signature that leads to one is required.
    pub roots: TrustRoots,
    /// Keys of which one must be on the signer's path: see [`Trust`].
    pub pins: Vec<KeyPin>,
    /// Which certificates are taken back.
    pub revocation: Revocation,
    /// Whether an unsigned package is refused, though nobody is trusted by name.
    pub require_signature: bool,
    /// Whether a package without manifest is refused.
    pub require_manifest: bool,
    /// The least size in bits of an RSA key in the signer's chain; never below [`MIN_KEY_BITS`].
    pub min_key_bits: usize,
    /// The weakest digest of a manifest's line and of a signature. SHA-1 passes under [`Tolerance::Sha1`] alone.
    pub min_digest: DigestAlgorithm,
    /// The time, in Unix time: certificates are valid or not, lists fresh or not at this moment.
    pub now: i64,
    /// What is let pass.
    pub tolerances: Vec<Tolerance>,
}

impl Policy {
    /// The default at a time: a manifest is required, a signature is checked if there is one, nobody is trusted by
    /// name, and nothing is tolerated but the field's spellings ([`Tolerance::harmless`]).
    pub fn at(now: i64) -> Self {
        Policy {
            roots: TrustRoots::default(),
            pins: Vec::new(),
            revocation: Revocation::default(),
            require_signature: false,
            require_manifest: true,
            min_key_bits: MIN_KEY_BITS,
            min_digest: DigestAlgorithm::Sha256,
            now,
            tolerances: Tolerance::harmless().collect(),
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

    /// Roots and pins together.
    pub fn trust(&self) -> Trust<'_> {
        Trust {
            roots: &self.roots,
            pins: &self.pins,
        }
    }

    /// Makes a package's source read the dialects that the policy lets pass.
    pub fn tolerate_in(&self, source: &mut Source) {
        if self.tolerates(Tolerance::TrailingZeros) {
            source.tolerate_trailing_zeros();
        }
        if self.tolerates(Tolerance::Pax) {
            source.tolerate_pax();
        }
        if self.tolerates(Tolerance::LongNames) {
            source.tolerate_long_names();
        }
    }

    pub(super) fn tolerates(&self, tolerance: Tolerance) -> bool {
        self.tolerances.contains(&tolerance)
    }

    pub(super) fn wants_signature(&self) -> bool {
        // Whoever names roots and takes unsigned packages has roots that a thief gets around by stripping two files.
        self.require_signature || !self.trust().is_empty()
    }

    /// The digests that may pass: what is worth computing of a file whose manifest has not been seen.
    pub fn digests(&self) -> Vec<DigestAlgorithm> {
        let may_pass = |algorithm: &DigestAlgorithm| self.weakness(*algorithm) != Some(false);
        DigestAlgorithm::ALL.into_iter().filter(may_pass).collect()
    }

    /// Whether a digest is weaker than the least, and if so, whether that is tolerated.
    pub(super) fn weakness(&self, algorithm: DigestAlgorithm) -> Option<bool> {
        let is_weak = !algorithm.is_strong() || algorithm < self.min_digest;
        is_weak.then(|| algorithm == DigestAlgorithm::Sha1 && self.tolerates(Tolerance::Sha1))
    }
}
