use serde::Serialize;

use crate::certificate::Certificate;

/// Who signed a package. Only an accepted verdict vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignerSummary {
    /// Whom the certificate names.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The SHA-256 digest of the certificate, in hexadecimal.
    pub fingerprint: String,
    /// The SHA-256 digest of its key, as pins have it, in hexadecimal.
    pub key_fingerprint: String,
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
            key_fingerprint: certificate.key_fingerprint().to_string(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
        }
    }
}
