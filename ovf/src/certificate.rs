//! The certificate file: the publisher's signature over the manifest, and who the publisher is (DSP0243 5.1).
//!
//! Its first line is `SHA256(name.mf)= ` and the RSA PKCS#1 v1.5 signature of the manifest's very bytes in
//! hexadecimal; then stand the signer's X.509 certificate and those that lead towards a root, in PEM.
//!
//! [`CertificateFile::parse`] takes that, and the field's spellings of it, which it notes; nothing else: text that the
//! signature does not cover and no reader interprets is a place to hide in. [`CertificateFile::verify_signature`]
//! answers whether the manifest is signed by the key in the certificate; [`Certificate::check_usage`],
//! [`Certificate::check_validity`], [`check_links`], [`Trust`] and [`Revocation`] answer whether that key may sign, is
//! trusted and still is. Time is passed in.

mod crl;
mod file;
mod key;
mod link;
mod path;
mod pkcs7;
mod revocation;
mod signer;
mod trust;
mod usage;
mod x509;

pub use self::crl::Crl;
pub use self::file::{CertificateFile, MAX_BYTES};
pub use self::key::SigningKey;
pub use self::link::check_links;
pub use self::revocation::Revocation;
pub use self::signer::{Signer, SigningDevice};
pub use self::trust::{KeyPin, Trust, TrustRoots};
pub use self::x509::Certificate;

use crate::error::{Error, Kind};

/// The least size of an RSA key, in bits.
pub const MIN_KEY_BITS: usize = 2048;

fn malformed(reason: impl Into<String>) -> Error {
    Error::new(Kind::CertificateMalformed, reason)
}

#[cfg(test)]
mod tests;
