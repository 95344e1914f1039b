//! Who may connect: a node with a certificate that a key of the server's authority signed.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::authority::{KeyDigest, NodeCertificate};

/// Takes two certificates: a node's, and that of the authority which signed it, known by its key. There is no third.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    authorities: Vec<KeyDigest>,
    provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    pub(super) fn new(authorities: Vec<KeyDigest>) -> Self {
        Self {
            authorities,
            provider: Arc::new(ring::default_provider()),
        }
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let [authority] = others else {
            return Err(unknown());
        };
        let key = KeyDigest::of_certificate(authority).ok_or_else(unknown)?;
        if !self.authorities.contains(&key) {
            return Err(unknown());
        }
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verified =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?
                .verify_client_cert(leaf, &[], now)?;
        match NodeCertificate::read(leaf) {
            Some(_) => Ok(verified),
            None => Err(CertificateError::ApplicationVerificationFailure.into()),
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
