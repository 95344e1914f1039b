//! The path from a signer to what is trusted, built by webpki.

use std::cell::Cell;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, RevocationOptions, anchor_from_trusted_cert};

use super::trust::{KeyPin, Trust};
use super::x509::Certificate;
use crate::error::{Error, Kind};

/// The DER content of `id-kp-codeSigning`, 1.3.6.1.5.5.7.3.3.
const CODE_SIGNING: &[u8] = &[0x2B, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// A signer, the certificates that came with it, and those that it may lead to.
pub(super) struct Path<'a> {
    signer: &'a Certificate,
    above: &'a [Certificate],
    anchors: Vec<&'a Certificate>,
    /// Where there are any, one of these keys must be on the path.
    pins: &'a [KeyPin],
}

/// Why a path does not hold: webpki's reason, or that it has no pinned key on it.
enum Fault {
    Webpki(webpki::Error),
    Unpinned,
}

impl<'a> Path<'a> {
    pub(super) fn new(trust: Trust<'a>, chain: &'a [Certificate]) -> Result<Self, Error> {
        let (signer, above) = chain
            .split_first()
            .ok_or_else(|| super::malformed("the chain has no certificate"))?;
        if !trust.roots.is_empty() || trust.pins.is_empty() {
            return Ok(Path {
                signer,
                above,
                anchors: trust.roots.certificates().iter().collect(),
                pins: trust.pins,
            });
        }
        let pinned = above.iter().filter(|it| trust.pins.contains(&KeyPin::of(it)));
        let anchors: Vec<_> = pinned.collect();
        if anchors.is_empty() {
            return Err(unpinned(signer));
        }
        Ok(Path {
            signer,
            above,
            anchors,
            pins: &[],
        })
    }

    /// Whether the path holds at `time`, and under revocation lists if there are any.
    ///
    /// # Errors
    /// Those of [`Trust::check`], and of revocation lists.
    pub(super) fn check(&self, time: i64, lists: Option<RevocationOptions<'_>>) -> Result<(), Error> {
        self.issuers(time, lists).map(drop)
    }

    /// The names in DER, of the issuers of every certificate on the path, the signer's first.
    ///
    /// # Errors
    /// As [`Path::check`].
    pub(super) fn issuers(
        &self,
        time: i64,
        lists: Option<RevocationOptions<'_>>,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let seconds = u64::try_from(time)
            .map_err(|_| Error::new(Kind::CertificateNotYetValid, "the time is before 1970"))?;
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        self.build(time, lists).map_err(|fault| match fault {
            Fault::Unpinned => unpinned(self.signer),
            Fault::Webpki(error) => refusal(&error, self.signer),
        })
    }

    fn build(&self, time: UnixTime, lists: Option<RevocationOptions<'_>>) -> Result<Vec<Vec<u8>>, Fault> {
        let anchors: Vec<CertificateDer<'_>> = self.anchors.iter().map(|it| it.pki()).collect();
        // A pinned certificate of version 1 may be no anchor that webpki can read; it still pins itself.
        let anchors: Vec<_> = anchors
            .iter()
            .filter_map(|root| anchor_from_trusted_cert(root).ok())
            .collect();
        let intermediates: Vec<_> = self.above.iter().map(Certificate::pki).collect();
        let signer = self.signer.pki();
        let entity = EndEntityCert::try_from(&signer).map_err(Fault::Webpki)?;
        let unpinned = Cell::new(false);
        let is_pinned = |path: &webpki::VerifiedPath<'_>| {
            if self.has_pin(path) {
                return Ok(());
            }
            unpinned.set(true);
            Err(webpki::Error::CertDistrusted)
        };
        let usage = KeyUsage::required_if_present(CODE_SIGNING);
        let verified = entity.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &intermediates,
            time,
            usage,
            lists,
            Some(&is_pinned),
        );
        match verified {
            Ok(path) => {
                let above = path.intermediate_certificates().map(|it| it.issuer().to_vec());
                Ok(std::iter::once(self.signer.issuer_der().to_vec())
                    .chain(above)
                    .collect())
            }
            Err(webpki::Error::CertDistrusted) if unpinned.get() => Err(Fault::Unpinned),
            Err(error) => Err(Fault::Webpki(error)),
        }
    }

    fn has_pin(&self, path: &webpki::VerifiedPath<'_>) -> bool {
        if self.pins.is_empty() {
            return true;
        }
        let among = |certificate: &Certificate| self.pins.contains(&KeyPin::of(certificate));
        let on_path = path.intermediate_certificates().any(|node| {
            let der = node.der();
            self.above
                .iter()
                .any(|it| it.as_der() == der.as_ref() && among(it))
        });
        let anchor = path.anchor();
        let by_anchor = self.anchors.iter().any(|root| {
            among(root)
                && anchor_from_trusted_cert(&root.pki())
                    .is_ok_and(|own| own.subject_public_key_info == anchor.subject_public_key_info)
        });
        among(self.signer) || on_path || by_anchor
    }

    /// The chain's last certificate is one that an anchor issued, an anchor itself, or self-issued, which
    /// [`super::check_links`] covers. A path may not need it, and then nobody else has looked at it.
    pub(super) fn check_end(&self) -> Result<(), Error> {
        let Some(last) = self.above.last().or(Some(self.signer)) else {
            return Ok(());
        };
        let is_pinned = |anchor: &&Certificate| std::ptr::eq(*anchor, last);
        let vouched = |anchor: &&Certificate| is_pinned(anchor) || last.check_signed_by(anchor).is_ok();
        if last.is_self_issued() || self.anchors.iter().any(vouched) {
            return Ok(());
        }
        let reason = format!(
            "the certificate of {} at the chain's end: no trusted root issued it",
            last.subject()
        );
        Err(Error::new(Kind::CertificateUntrusted, reason))
    }
}

fn unpinned(signer: &Certificate) -> Error {
    let reason = format!(
        "the certificate of {}: no pinned key is on its path",
        signer.subject()
    );
    Error::new(Kind::CertificatePin, reason)
}

fn refusal(error: &webpki::Error, signer: &Certificate) -> Error {
    use webpki::Error as E;
    let (kind, reason) = match error {
        E::CertExpired { .. } => (Kind::CertificateExpired, "a certificate on its path has expired"),
        E::CertNotValidYet { .. } => (
            Kind::CertificateNotYetValid,
            "a certificate on its path is not valid yet",
        ),
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => (
            Kind::CertificateExtendedKeyUsage,
            "a certificate on its path is not for code signing",
        ),
        E::UnknownIssuer => (Kind::CertificateUntrusted, "no trusted root issued it"),
        // A signer that another authority issued has been refused as an authority before.
        E::CaUsedAsEndEntity => (
            Kind::CertificateUntrusted,
            "it is self-signed, and not one of the trusted certificates",
        ),
        E::CertRevoked => (
            Kind::CertificateRevoked,
            "it, or a certificate on its path, is revoked",
        ),
        E::UnknownRevocationStatus => (
            Kind::CrlMissing,
            "no revocation list speaks of it, or of a certificate on its path",
        ),
        E::InvalidCrlSignatureForPublicKey
        | E::IssuerNotCrlSigner
        | E::UnsupportedCrlSignatureAlgorithmContext(_)
        | E::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => (
            Kind::CrlUntrusted,
            "a revocation list for its path is not signed by the authority that it names",
        ),
        // An algorithm that the issuer's key cannot have signed by means another key, and falls to the last arm.
        E::UnsupportedSignatureAlgorithmContext(_) => (
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
