//! What a node shows other nodes, and whom it believes.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use uuid::Uuid;

use super::verifier::PeerVerifier;
use crate::authority::{KeyDigest, NodeCertificate, node_name};
use crate::error::{Error, Kind, Result};
use crate::http::tls;

/// What credentials are made of: a node's enrolment.
#[derive(Clone, PartialEq, Eq)]
pub struct Basis {
    /// The node's id.
    pub node: Uuid,
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
    /// The private key of that: PKCS#8.
    pub key: Vec<u8>,
    /// Keys by which the server is known.
    pub authorities: Vec<KeyDigest>,
    /// Certificates of the server's authority, of these keys and of the one before them.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl std::fmt::Debug for Basis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Basis").field(&self.node).finish()
    }
}

/// What a node that is one of its server's shows other nodes, and whom it believes.
#[derive(Debug)]
pub struct Credentials {
    basis: Basis,
    /// The certificate, and that of the authority whose key signed it.
    chain: Vec<CertificateDer<'static>>,
    name: String,
    authorities: Vec<KeyDigest>,
    connections: Arc<ServerConfig>,
}

impl Credentials {
    /// Of an enrolment; none where other nodes can't know the node yet: its certificate is one of an earlier version's, or the
    /// certificate of the authority that signed it wasn't told.
    ///
    /// # Errors
    /// [`Kind::Tls`].
    pub fn new(basis: Basis) -> Result<Option<Self>> {
        let is_for_peers = NodeCertificate::read(&basis.certificate)
            .is_some_and(|says| says.is_for_peers && says.node == basis.node);
        let mut signers = basis.certificates.iter();
        let signer = signers.find(|signer| NodeCertificate::is_signed_by(&basis.certificate, signer));
        let Some(signer) = signer.filter(|_| is_for_peers) else {
            return Ok(None);
        };
        let chain = vec![basis.certificate.clone(), signer.clone()];
        let mut authorities = basis.authorities.clone();
        for key in basis.certificates.iter().filter_map(KeyDigest::of_certificate) {
            if !authorities.contains(&key) {
                authorities.push(key);
            }
        }
        let verifier = Arc::new(PeerVerifier::new(authorities.clone()));
        let connections = tls::for_peers(verifier, chain.clone(), private(&basis.key))?;
        Ok(Some(Self {
            name: node_name(basis.node),
            chain,
            authorities,
            connections,
            basis,
        }))
    }

    /// The node's id.
    pub fn node(&self) -> Uuid {
        self.basis.node
    }

    /// The name by which other nodes ask for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keys of the server's authority: what they signed is good. A key that was replaced is among them until nothing of it is left.
    pub fn authorities(&self) -> &[KeyDigest] {
        &self.authorities
    }

    /// The node's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.basis.certificate
    }

    /// How connections of other nodes are taken.
    pub fn connections(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.connections)
    }

    /// The certificate, with the authority's, and the key for it.
    pub(crate) fn shown(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain.clone(), private(&self.basis.key))
    }

    /// What a certificate says, if it is one of a node's that a key of the server's authority signed.
    pub fn vouched(&self, certificate: &CertificateDer<'_>) -> Option<NodeCertificate> {
        let mut signers = self.basis.certificates.iter();
        let is_signed = signers.any(|signer| NodeCertificate::is_signed_by(certificate, signer));
        NodeCertificate::read(certificate).filter(|_| is_signed)
    }

    /// Signs bytes with the node's key, ECDSA over P-256 and SHA-256, in DER.
    ///
    /// # Errors
    /// [`Kind::Identity`].
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        use rcgen::SigningKey as _;
        let failed = |error| Error::new(Kind::Identity, "the node's key", "cannot sign").because(error);
        let key = rcgen::KeyPair::try_from(&PrivatePkcs8KeyDer::from(self.basis.key.as_slice()));
        key.and_then(|key| key.sign(bytes)).map_err(failed)
    }

    pub(super) fn basis(&self) -> &Basis {
        &self.basis
    }
}

fn private(key: &[u8]) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(key.to_vec().into())
}
