//! The links of a chain: each certificate signed by the next.

use super::x509::{Certificate, parse};
use crate::error::{Error, Kind};

impl Certificate {
    /// Whether its signature is one by `issuer`'s key.
    pub(super) fn check_signed_by(&self, issuer: &Certificate) -> Result<(), Error> {
        let (own, above) = (parse(self.as_der())?, parse(issuer.as_der())?);
        own.verify_signature(Some(above.public_key())).map_err(|error| {
            let reason = format!(
                "the certificate of {} is not signed by {}",
                self.subject(),
                issuer.subject()
            );
            Error::new(Kind::CertificateUntrusted, reason).caused_by(error)
        })
    }
}

/// Whether every certificate of a chain is issued and signed by the next one, and a self-issued one by itself.
///
/// A root at the end is not made trustworthy by this; it only cannot be another one's.
///
/// # Errors
/// [`Kind::CertificateUntrusted`], naming the certificate.
pub fn check_links(chain: &[Certificate]) -> Result<(), Error> {
    for (index, certificate) in chain.iter().enumerate() {
        match chain.get(index + 1) {
            Some(next) if certificate.is_named_issuer(next) => certificate.check_signed_by(next)?,
            Some(next) => {
                let reason = format!(
                    "the certificate of {} is issued by {}, and followed by that of {}",
                    certificate.subject(),
                    certificate.issuer(),
                    next.subject()
                );
                return Err(Error::new(Kind::CertificateUntrusted, reason));
            }
            None if certificate.is_self_issued() => certificate.check_signed_by(certificate)?,
            None => {}
        }
    }
    Ok(())
}
