//! Who is trusted: roots, publishers pinned by their own certificate, keys pinned by their digest.

use std::fmt;

use super::path::Path;
use super::x509::Certificate;
use super::{Revocation, malformed};
use crate::error::{Error, Kind};
use crate::manifest::{Digest, DigestAlgorithm};

/// The certificates that a policy trusts: authorities, and publishers pinned by their own certificate.
#[derive(Debug, Clone, Default)]
pub struct TrustRoots(Vec<Certificate>);

impl TrustRoots {
    /// Trusts these.
    pub fn new(roots: Vec<Certificate>) -> Self {
        TrustRoots(roots)
    }

    /// Trusts the certificates of a file: one in DER, or any number in PEM.
    ///
    /// # Errors
    /// [`Kind::CertificateMalformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        // A certificate in DER begins with a SEQUENCE; no PEM text does.
        let roots = match bytes.first() {
            Some(0x30) => vec![Certificate::from_der(bytes)?],
            _ => Certificate::all_from_pem(bytes)?,
        };
        Ok(TrustRoots(roots))
    }

    /// Trusts those of `other` as well.
    pub fn extend(&mut self, other: TrustRoots) {
        self.0.extend(other.0);
    }

    /// Whether nothing is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The certificates.
    pub fn certificates(&self) -> &[Certificate] {
        &self.0
    }

    /// Whether the first certificate of `chain` leads to a root at `now`: [`Trust::check`] without pins.
    ///
    /// # Errors
    /// As [`Trust::check`].
    pub fn check(&self, chain: &[Certificate], now: i64) -> Result<(), Error> {
        Trust {
            roots: self,
            pins: &[],
        }
        .check(chain, now)
    }
}

/// A key that is trusted by its digest: SHA-256 of its SubjectPublicKeyInfo in DER.
///
/// `openssl x509 -in ca.pem -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum` tells it of a certificate.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyPin(Digest);

impl KeyPin {
    /// Reads 64 hexadecimal digits, with `sha256:` before them or without.
    ///
    /// # Errors
    /// [`Kind::CertificatePin`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        match Digest::from_hex(DigestAlgorithm::Sha256, hex) {
            Ok(digest) => Ok(KeyPin(digest)),
            Err(_) => Err(Error::new(
                Kind::CertificatePin,
                "a pin is the 64 hexadecimal digits of a key's SHA-256 digest",
            )),
        }
    }

    /// The pin of a certificate's key.
    pub fn of(certificate: &Certificate) -> Self {
        KeyPin(certificate.key_fingerprint())
    }
}

impl fmt::Display for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl fmt::Debug for KeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPin({})", self.0)
    }
}

/// Roots and pins together.
///
/// Pins narrow: where there are roots, the signer must lead to one by a path that has a pinned key on it. Where there
/// are none, a certificate of the package whose key is pinned stands for a root.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// The roots.
    pub roots: &'a TrustRoots,
    /// The pinned keys.
    pub pins: &'a [KeyPin],
}

impl Trust<'_> {
    /// Whether nobody is trusted by name.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty() && self.pins.is_empty()
    }

    /// Whether the first certificate of `chain` is trusted at `now`, in Unix time, for signing code.
    ///
    /// A signer whose own key is pinned, or who is self-signed with a root's key, is trusted without a path: its dates,
    /// usage and own signature are checked.
    ///
    /// # Errors
    /// [`Kind::CertificateUntrusted`], [`Kind::CertificatePin`], [`Kind::CertificateExpired`] and
    /// [`Kind::CertificateNotYetValid`] (of any certificate on the path), those of [`Certificate::check_usage`],
    /// [`Kind::CertificateAlgorithm`], [`Kind::CertificateMalformed`].
    pub fn check(&self, chain: &[Certificate], now: i64) -> Result<(), Error> {
        let signer = chain
            .first()
            .ok_or_else(|| malformed("the chain has no certificate"))?;
        signer.check_usage()?;
        if self.trusts_directly(signer) {
            signer.check_validity(now)?;
            return if signer.is_self_issued() {
                signer.check_signed_by(signer)
            } else {
                Ok(())
            };
        }
        let path = Path::new(*self, chain)?;
        path.check(now, None)?;
        path.check_end()
    }

    /// Whether the path of `chain` is free of revoked certificates: see [`Revocation`]. It must have passed
    /// [`Trust::check`] at `path_time`.
    ///
    /// # Errors
    /// [`Kind::CertificateRevoked`], [`Kind::CrlMissing`], [`Kind::CrlStale`], [`Kind::CrlUntrusted`].
    pub fn check_revocation(
        &self,
        chain: &[Certificate],
        revocation: &Revocation,
        path_time: i64,
        now: i64,
    ) -> Result<(), Error> {
        match chain.first() {
            // Whoever is pinned is revoked by whoever pinned it.
            Some(signer) if self.trusts_directly(signer) => Ok(()),
            _ => revocation.check(&Path::new(*self, chain)?, path_time, now),
        }
    }

    /// Whether a signer needs no path.
    fn trusts_directly(&self, signer: &Certificate) -> bool {
        let is_pinned = self.pins.contains(&KeyPin::of(signer));
        if self.roots.is_empty() {
            return is_pinned;
        }
        signer.is_self_issued()
            && self.roots.0.iter().any(|root| signer.has_key_of(root))
            && (is_pinned || self.pins.is_empty())
    }
}
