//! Digests of keys, by which connectors and people know each other.

use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::digest::sha256;

/// The SHA-256 digest of a key (its SubjectPublicKeyInfo).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "3A5F-...")]
pub struct KeyDigest(pub [u8; 32]);

impl KeyDigest {
    /// Of a key's SubjectPublicKeyInfo.
    pub fn of(key: &[u8]) -> Self {
        Self(sha256(key))
    }

    /// Of a key pair's public half.
    pub fn of_key(key: &KeyPair) -> Self {
        use rcgen::PublicKeyData as _;
        Self::of(&key.subject_public_key_info())
    }

    /// Of a certificate's key, if it is a certificate.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        Some(Self::of(parsed.public_key().raw))
    }
}

impl std::fmt::Display for KeyDigest {
    /// In groups that two people can compare: `XXXX-XXXX-...`, hexadecimal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, pair) in self.0.chunks(2).enumerate() {
            let hyphen = if index == 0 { "" } else { "-" };
            write!(f, "{hyphen}{:02X}{:02X}", pair[0], pair[1])?;
        }
        Ok(())
    }
}

impl From<KeyDigest> for String {
    fn from(digest: KeyDigest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for KeyDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const REASON: &str = "a digest has 64 hexadecimal digits, in groups of four";
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        let mut digest = [0; 32];
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(REASON);
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| REASON)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| REASON)?;
        }
        Ok(Self(digest))
    }
}
