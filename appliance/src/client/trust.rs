//! How the one on the other side is known: by its authority's key, by its certificate's fingerprint, or by who issued it.
//!
//! Whoever is known by a fingerprint is that one certificate, whatever its names and dates say: a person has compared it. With
//! the other two, names and dates count.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use uuid::Uuid;

use crate::authority::{KeyDigest, NodeCertificate, SERVER_NAME, node_name};
use crate::endpoint::{Endpoint, Host};
use crate::error::{Error, Kind, Result};
use crate::identity::Fingerprint;

/// What the one on the other side is known by.
#[derive(Debug, Clone)]
pub enum Trust {
    /// A chain that ends in one of these keys, for the name that only servers are given.
    Authorities(Vec<KeyDigest>),
    /// Likewise, for the name of a node, and its certificate names it.
    Node(Vec<KeyDigest>, Uuid),
    /// This certificate.
    Fingerprint(Fingerprint),
    /// A certificate of one of these issuers, for the host that is asked for.
    Issuers(Vec<CertificateDer<'static>>),
    /// Nobody: the certificate is looked at, and nothing is said.
    Nobody(Arc<OnceLock<Fingerprint>>),
}

impl From<Vec<KeyDigest>> for Trust {
    fn from(authorities: Vec<KeyDigest>) -> Self {
        Self::Authorities(authorities)
    }
}

impl Trust {
    /// Issuers from a file's content, certificates in PEM.
    ///
    /// # Errors
    /// [`Kind::Tls`] where there is none, or something else.
    pub fn issuers(pem: &[u8]) -> Result<Self> {
        let wrong = |reason: &str| Error::new(Kind::Tls, "the issuers' certificates", reason);
        let issuers: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong("are not certificates in PEM").because(error))?;
        match issuers.is_empty() {
            true => Err(wrong("are none in PEM")),
            false => Ok(Self::Issuers(issuers)),
        }
    }

    /// What is wrong with one who isn't it.
    pub(super) fn stranger(&self) -> &'static str {
        match self {
            Self::Authorities(_) | Self::Nobody(_) => "has not the key that was pinned",
            Self::Node(..) => "is not the node that was meant, or none of this server's",
            Self::Fingerprint(_) => "is another than the one that is known",
            Self::Issuers(_) => "has a certificate of none of the issuers",
        }
    }

    /// The field `Host`, and the name in TLS: the server's, or the one that only servers are given.
    pub(super) fn asked_for(&self, server: Option<&Endpoint>) -> Result<(String, ServerName<'static>)> {
        let named = |name: &str| {
            ServerName::try_from(name.to_owned())
                .map_err(|error| Error::new(Kind::Tls, "TLS", "no name").because(error))
        };
        let server = match (self, server) {
            (Self::Authorities(_), _) => return Ok((SERVER_NAME.to_owned(), named(SERVER_NAME)?)),
            (Self::Node(_, node), _) => return Ok((node_name(*node), named(&node_name(*node))?)),
            (_, Some(server)) => server,
            (_, None) => return Err(Error::new(Kind::Tls, "TLS", "no name")),
        };
        match server.host() {
            Host::Address(address) => Ok((server.to_string(), (*address).into())),
            Host::Name(name) => Ok((server.to_string(), named(name.as_str())?)),
        }
    }

    pub(super) fn verifier(self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
        let judge = match self {
            Self::Issuers(issuers) => {
                let unusable = || Error::new(Kind::Tls, "the issuers' certificates", "are unusable");
                let mut roots = RootCertStore::empty();
                for issuer in issuers {
                    roots.add(issuer).map_err(|error| unusable().because(error))?;
                }
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
                return Ok(verifier.map_err(|error| unusable().because(error))?);
            }
            Self::Authorities(keys) => Judge::Authorities(keys, None),
            Self::Node(keys, node) => Judge::Authorities(keys, Some(node)),
            Self::Fingerprint(fingerprint) => Judge::Fingerprint(fingerprint),
            Self::Nobody(met) => Judge::Nobody(met),
        };
        Ok(Arc::new(Verifier { judge, provider }))
    }
}

/// The certificate is another than the one that was pinned.
#[derive(Debug, Clone, Copy)]
struct Another {
    pinned: Fingerprint,
    met: Fingerprint,
}

impl fmt::Display for Another {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pinned, met } = self;
        write!(f, "it shows the certificate {met}, and {pinned} was pinned")
    }
}

impl std::error::Error for Another {}

#[derive(Debug)]
struct Verifier {
    judge: Judge,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Judge {
    Authorities(Vec<KeyDigest>, Option<Uuid>),
    Fingerprint(Fingerprint),
    Nobody(Arc<OnceLock<Fingerprint>>),
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let met = Fingerprint::of(leaf);
        let (authorities, node) = match &self.judge {
            Judge::Authorities(authorities, node) => (authorities, *node),
            Judge::Fingerprint(pinned) if *pinned == met => return Ok(ServerCertVerified::assertion()),
            Judge::Fingerprint(pinned) => {
                let another = Another { pinned: *pinned, met };
                return Err(CertificateError::Other(OtherError(Arc::new(another))).into());
            }
            Judge::Nobody(seen) => {
                let _ = seen.set(met);
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
        };
        let pinned = others.iter().find(|certificate| {
            KeyDigest::of_certificate(certificate).is_some_and(|key| authorities.contains(&key))
        });
        let pinned = pinned.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(pinned.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verified = verifier.verify_server_cert(leaf, &[], name, ocsp, now)?;
        let names = |node| NodeCertificate::read(leaf).is_some_and(|says| says.node == node);
        match node.is_none_or(names) {
            true => Ok(verified),
            false => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Why there is no connection: a stranger, a clock that is wrong, or something that is not about who it is.
pub(super) fn failure(error: std::io::Error, not_it: &str) -> Error {
    let stranger = |reason: &str| Error::new(Kind::Stranger, "the server", reason);
    let clock = |reason: &str| {
        let reason = format!("{reason}: compare the clocks of both sides");
        Error::new(Kind::Clock, "the server", reason)
    };
    let unreachable = |reason: &str| Error::new(Kind::Unreachable, "the server", reason);
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(fault)) = inner else {
        return unreachable("it doesn't speak with us").because(error);
    };
    match fault {
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::ApplicationVerificationFailure => stranger(not_it).because(error),
        CertificateError::Other(OtherError(other)) => match other.downcast_ref::<Another>() {
            Some(another) => stranger(not_it).because(*another),
            None => unreachable("its certificate can't be judged").because(error),
        },
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            stranger("has a certificate for another name").because(error)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            clock("its certificate has ended by this machine's clock").because(error)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            clock("its certificate is not valid yet by this machine's clock").because(error)
        }
        _ => unreachable("its certificate is unusable").because(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::ring::default_provider;

    use super::*;

    /// A certificate for `vcc.example`, valid from 2026-01-01 to 2026-12-31.
    fn certificate() -> rcgen::Certificate {
        let mut template = CertificateParams::new(vec!["vcc.example".to_owned()]).unwrap();
        (template.not_before, template.not_after) = (
            rcgen::date_time_ymd(2026, 1, 1),
            rcgen::date_time_ymd(2026, 12, 31),
        );
        template.self_signed(&KeyPair::generate().unwrap()).unwrap()
    }

    /// What somebody who trusts like this says to a certificate, in seconds since 1970.
    fn judged(trust: Trust, shown: &rcgen::Certificate, name: &str, at: u64) -> Option<CertificateError> {
        let verifier = trust.verifier(Arc::new(default_provider())).unwrap();
        let (name, now) = (
            ServerName::try_from(name.to_owned()).unwrap(),
            UnixTime::since_unix_epoch(Duration::from_secs(at)),
        );
        match verifier.verify_server_cert(shown.der(), &[], &name, &[], now) {
            Ok(_) => None,
            Err(rustls::Error::InvalidCertificate(fault)) => Some(fault),
            Err(other) => panic!("{other}"),
        }
    }

    const SUMMER: u64 = 1_780_000_000;
    const YEAR: u64 = 366 * 86_400;

    #[test]
    fn issuers_vouch_for_a_name_and_a_time() {
        let (own, other) = (certificate(), certificate());
        let judge = |shown, name, at| judged(Trust::issuers(own.pem().as_bytes()).unwrap(), shown, name, at);
        assert_eq!(judge(&own, "vcc.example", SUMMER), None);
        let expired = judge(&own, "vcc.example", SUMMER + YEAR).unwrap();
        assert!(matches!(
            expired,
            CertificateError::Expired | CertificateError::ExpiredContext { .. }
        ));
        let early = judge(&own, "vcc.example", SUMMER - YEAR).unwrap();
        assert!(matches!(
            early,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
        ));
        let named = judge(&own, "other.example", SUMMER).unwrap();
        assert!(matches!(
            named,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        ));
        let forged = judge(&other, "vcc.example", SUMMER).unwrap();
        assert!(
            matches!(
                forged,
                CertificateError::BadSignature | CertificateError::UnknownIssuer
            ),
            "{forged:?}"
        );
        for nothing in ["", "no certificate"] {
            assert_eq!(Trust::issuers(nothing.as_bytes()).unwrap_err().kind(), Kind::Tls);
        }
    }

    #[test]
    fn a_fingerprint_is_one_certificate_whatever_its_name_and_dates() {
        let (own, other) = (certificate(), certificate());
        let trust = || Trust::Fingerprint(Fingerprint::of(own.der()));
        assert_eq!(judged(trust(), &own, "other.example", SUMMER + YEAR), None);
        assert!(judged(trust(), &other, "vcc.example", SUMMER).is_some());
    }

    #[test]
    fn only_another_key_or_name_is_a_stranger_and_a_date_is_the_clocks_matter() {
        let kind = |fault: CertificateError| {
            let error = rustls::Error::InvalidCertificate(fault);
            failure(std::io::Error::other(error), "is another").kind()
        };
        for fault in [
            CertificateError::UnknownIssuer,
            CertificateError::BadSignature,
            CertificateError::NotValidForName,
        ] {
            assert_eq!(kind(fault), Kind::Stranger);
        }
        for fault in [CertificateError::Expired, CertificateError::NotValidYet] {
            assert_eq!(kind(fault), Kind::Clock);
        }
        assert_eq!(kind(CertificateError::BadEncoding), Kind::Unreachable);
        let other = failure(std::io::ErrorKind::ConnectionReset.into(), "is another");
        assert_eq!(other.kind(), Kind::Unreachable);
    }
}
