//! Trust roots, and whether a signer's certificate leads to one.

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::malformed;
use super::x509::Certificate;
use crate::error::{Error, Kind};

/// The DER content of `id-kp-codeSigning`, 1.3.6.1.5.5.7.3.3.
const CODE_SIGNING: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

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

    /// Whether the first certificate of `chain` leads to a root at `now`, in Unix time, for signing code.
    ///
    /// A self-signed certificate is trusted if its key is a root's: `webpki` takes no certificate of an authority as a
    /// signer, which is what `openssl req -x509` makes by default. Its dates, usage and own signature are checked
    /// here.
    ///
    /// # Errors
    /// [`Kind::CertificateUntrusted`], [`Kind::CertificateExpired`], [`Kind::CertificateNotYetValid`] (of any
    /// certificate on the path), [`Kind::CertificateExtendedKeyUsage`], [`Kind::CertificateKeyUsage`],
    /// [`Kind::CertificateAlgorithm`], [`Kind::CertificateMalformed`].
    pub fn check(&self, chain: &[Certificate], now: i64) -> Result<(), Error> {
        let signer = chain
            .first()
            .ok_or_else(|| malformed("the chain has no certificate"))?;
        signer.check_usage()?;
        if signer.is_self_issued() && self.0.iter().any(|root| signer.has_key_of(root)) {
            signer.check_validity(now)?;
            return signer.check_signed_by(signer);
        }
        self.check_path(signer, &chain[1..], now)?;
        self.check_end(chain)
    }

    /// The chain's last certificate is one that a root issued, or a root's own kind: self-issued, which
    /// [`super::check_links`] covers. A path may not need it, and then nobody else has looked at it.
    fn check_end(&self, chain: &[Certificate]) -> Result<(), Error> {
        match chain.last() {
            Some(last)
                if !last.is_self_issued()
                    && !self.0.iter().any(|root| last.check_signed_by(root).is_ok()) =>
            {
                let reason = format!(
                    "the certificate of {} at the chain's end: no trusted root issued it",
                    last.subject()
                );
                Err(Error::new(Kind::CertificateUntrusted, reason))
            }
            _ => Ok(()),
        }
    }

    fn check_path(&self, signer: &Certificate, above: &[Certificate], now: i64) -> Result<(), Error> {
        let time = u64::try_from(now)
            .map_err(|_| Error::new(Kind::CertificateNotYetValid, "the time is before 1970"))?;
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(time));
        let roots: Vec<CertificateDer<'_>> = self.0.iter().map(Certificate::pki).collect();
        // A pinned certificate of version 1 is no anchor that webpki can read; it still pins above.
        let anchors: Vec<_> = roots
            .iter()
            .filter_map(|root| anchor_from_trusted_cert(root).ok())
            .collect();
        let intermediates: Vec<_> = above.iter().map(Certificate::pki).collect();
        let signer_der = signer.pki();
        let entity = EndEntityCert::try_from(&signer_der).map_err(|error| refusal(&error, signer))?;
        let usage = KeyUsage::required_if_present(CODE_SIGNING);
        entity
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                &intermediates,
                time,
                usage,
                None,
                None,
            )
            .map(drop)
            .map_err(|error| refusal(&error, signer))
    }
}

fn refusal(error: &webpki::Error, signer: &Certificate) -> Error {
    use webpki::Error as E;
    let (kind, reason) = match error {
        E::CertExpired { .. } => (Kind::CertificateExpired, "a certificate on its path has expired"),
        E::CertNotValidYet { .. } => (
            Kind::CertificateNotYetValid,
            "a certificate on its path is not valid yet",
        ),
        E::RequiredEkuNotFoundContext(_) => (
            Kind::CertificateExtendedKeyUsage,
            "a certificate on its path is not for code signing",
        ),
        E::UnknownIssuer => (Kind::CertificateUntrusted, "no trusted root issued it"),
        E::CaUsedAsEndEntity => (
            Kind::CertificateUntrusted,
            "it is an authority's, and not one of the trusted certificates",
        ),
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => (
            Kind::CertificateAlgorithm,
            "a certificate on its path is signed by an algorithm that is not supported",
        ),
        E::BadDer
        | E::BadDerTime
        | E::TrailingData(_)
        | E::UnsupportedCertVersion
        | E::MalformedExtensions => (
            Kind::CertificateMalformed,
            "a certificate on its path is not X.509 version 3",
        ),
        _ => (
            Kind::CertificateUntrusted,
            "no path from it to a trusted root holds",
        ),
    };
    Error::new(kind, format!("the certificate of {}: {reason}", signer.subject()))
        .caused_by(error.to_string())
}
