//! The server's authority: the key by which nodes know their server, and the certificates by which it knows them.
//!
//! Its key is replaced without a node losing its server: [`rotation`]. Nodes pin the authority's key, never a certificate. Who a node is stands in its certificate as a URI, `urn:vcc:node:ID`, and as the name that other nodes ask for.

mod certificate;
mod code;
mod issuing;
mod key;
mod keys;
pub mod rotation;

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, SigningKey as _, string::Ia5String,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub use certificate::{NodeCertificate, key_of_request};
pub use code::EnrolmentCode;
pub use issuing::Issuing;
pub use key::KeyDigest;
pub use keys::Keys;

use crate::clock::Moment;
use crate::error::{Error, Kind, Result};
use certificate::read_request;

const PLACE: &str = "authority";
/// What nodes ask for in place of a host's name; nobody's.
pub const SERVER_NAME: &str = "enrolment.vcc.internal";
/// What follows a node's id in the name that other nodes ask for.
pub const NODE_DOMAIN: &str = ".node.vcc.internal";
/// How long a node's certificate is good.
const NODE_VALIDITY: Duration = Duration::days(90);
/// How far a clock may be behind ours.
const LEEWAY: Duration = Duration::hours(1);
/// How far a node's may be behind ours: it knows its server by the key, and the dates say little more.
const SKEW: Duration = Duration::days(366);

/// A key and its certificate, as they are kept.
struct Pem {
    key: String,
    certificate: String,
}

/// The authority of a server.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    digest: KeyDigest,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Authority").field(&self.digest).finish()
    }
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// There is no randomness.
    fn make(now: Moment) -> Result<Pem> {
        let failed = |error| Error::new(Kind::Identity, PLACE, "cannot be made").because(error);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = own_template(now)
            .and_then(|template| template.self_signed(&key))
            .map_err(failed)?;
        Ok(Pem {
            key: key.serialize_pem(),
            certificate: certificate.pem(),
        })
    }

    /// Reads one that was kept.
    ///
    /// # Errors
    /// [`Kind::Identity`] for a damaged one: it is never made anew, for no node would know it.
    fn read(pem: &Pem) -> Result<Self> {
        let damaged = |reason: &str| Error::new(Kind::Identity, PLACE, reason);
        let key = KeyPair::from_pem(&pem.key)
            .map_err(|error| damaged("the key is not a private key in PEM").because(error))?;
        let certificate = read_certificate(&pem.certificate)?;
        let digest = KeyDigest::of_key(&key);
        if KeyDigest::of_certificate(&certificate) != Some(digest) {
            return Err(damaged("the key does not belong to the certificate"));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| damaged("the certificate is no authority's").because(error))?;
        Ok(Self {
            issuer,
            certificate,
            digest,
        })
    }

    /// The digest of its key.
    pub fn digest(&self) -> KeyDigest {
        self.digest
    }

    /// Its certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Signs bytes, ECDSA over P-256 and SHA-256, in DER.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let failed = |error| Error::new(Kind::Identity, PLACE, "cannot sign").because(error);
        self.issuer.key().sign(bytes).map_err(failed)
    }

    /// Key and certificates for the server's side of connections with nodes, made anew with every start.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn serving(&self, server: Uuid, now: Moment) -> Result<Arc<CertifiedKey>> {
        let failed = |error| Error::new(Kind::Identity, PLACE, "cannot certify the server").because(error);
        let key = KeyPair::generate().map_err(failed)?;
        let mut template = CertificateParams::new(vec![SERVER_NAME.to_owned()]).map_err(failed)?;
        template
            .subject_alt_names
            .push(uri(&format!("urn:vcc:server:{server}"))?);
        template.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (template.not_before, template.not_after) = validity(now, SKEW, Duration::days(3653));
        let leaf = template.signed_by(&key, &self.issuer).map_err(failed)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = rustls::crypto::ring::default_provider();
        CertifiedKey::from_der(chain, key, &provider)
            .map(Arc::new)
            .map_err(|error| Error::new(Kind::Tls, PLACE, "the server's key is unusable").because(error))
    }

    /// A certificate for the key of a request; nothing else in it counts.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is no request signed by its own key.
    pub fn certify(
        &self,
        request: &[u8],
        node: Uuid,
        now: Moment,
    ) -> Result<(CertificateDer<'static>, NodeCertificate)> {
        let mut request = read_request(request)?;
        let failed = |error| Error::new(Kind::Identity, PLACE, "cannot certify a node").because(error);
        let mut bytes = [0; 16];
        crate::entropy::fill(&mut bytes)?;
        // Positive, and of its full length.
        bytes[0] = bytes[0] & 0x7f | 0x40;
        let mut template = CertificateParams::new(Vec::new()).map_err(failed)?;
        template
            .subject_alt_names
            .push(uri(&format!("urn:vcc:node:{node}"))?);
        template
            .distinguished_name
            .push(DnType::CommonName, format!("vcc-node-{node}"));
        template
            .subject_alt_names
            .push(SanType::DnsName(text(&node_name(node))?));
        // Nodes take connections of each other, too.
        template.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        template.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        template.serial_number = Some(SerialNumber::from_slice(&bytes));
        (template.not_before, template.not_after) = validity(now, LEEWAY, NODE_VALIDITY);
        request.params = template;
        let certificate = request.signed_by(&self.issuer).map_err(failed)?.der().clone();
        let unread = || Error::new(Kind::Identity, PLACE, "a new certificate can't be read");
        let says = NodeCertificate::read(&certificate).ok_or_else(unread)?;
        Ok((certificate, says))
    }
}

fn read_certificate(pem: &str) -> Result<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| Error::new(Kind::Identity, PLACE, "a certificate is not one in PEM").because(error))
}

/// What nodes ask for where they mean a node: `ID.node.vcc.internal`.
pub fn node_name(node: Uuid) -> String {
    format!("{node}{NODE_DOMAIN}")
}

fn uri(name: &str) -> Result<SanType> {
    Ok(SanType::URI(text(name)?))
}

fn text(name: &str) -> Result<Ia5String> {
    name.try_into()
        .map_err(|error| Error::new(Kind::Identity, PLACE, "cannot name anybody").because(error))
}

fn own_template(now: Moment) -> Result<CertificateParams, rcgen::Error> {
    let mut template = CertificateParams::new(Vec::new())?;
    template
        .distinguished_name
        .push(DnType::CommonName, "VCC enrolment authority");
    template.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    template.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (template.not_before, template.not_after) = validity(now, SKEW, Duration::days(20 * 365));
    Ok(template)
}

fn validity(now: Moment, before: Duration, long: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let now = now.max(Moment::EARLIEST);
    let now = OffsetDateTime::from_unix_timestamp(now.0 / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    (now - before, now + long)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_790_000_000_000);

    fn request(key: &KeyPair) -> Vec<u8> {
        let template = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        template.serialize_request(key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_says_who_the_node_is_and_nothing_that_the_node_asked_for() {
        let authority = Authority::read(&Authority::make(NOW).unwrap()).unwrap();
        let (key, node) = (KeyPair::generate().unwrap(), Uuid::new_v4());
        let (certificate, says) = authority.certify(&request(&key), node, NOW).unwrap();
        assert_eq!(says.node, node);
        assert!(says.is_for_peers);
        assert!(NodeCertificate::is_signed_by(
            &certificate,
            authority.certificate()
        ));
        let another = Authority::read(&Authority::make(NOW).unwrap()).unwrap();
        assert!(!NodeCertificate::is_signed_by(
            &certificate,
            another.certificate()
        ));
        assert!(says.begins < NOW && says.expires > NOW);
        assert_eq!(
            KeyDigest::of_certificate(&certificate),
            Some(key_of_request(&request(&key)).unwrap())
        );
        let text = String::from_utf8_lossy(&certificate).into_owned();
        assert!(!text.contains("evil.example"));
        let mut tampered = request(&key);
        let middle = tampered.len() / 2;
        tampered[middle] ^= 1;
        assert!(authority.certify(&tampered, node, NOW).is_err());
    }
}
