//! The server's authority: the key by which nodes know their server, and the certificates by which it knows them.
//!
//! Nodes pin the authority's key, never a certificate. Who a node is stands in its certificate as a URI, `urn:vcc:node:ID`.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, string::Ia5String,
};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::clock::Moment;
use crate::digest::{hex, sha256};
use crate::error::{Error, Kind, Result};
use crate::file;

const DIRECTORY: &str = "authority";
const KEY: &str = "key.pem";
const CERTIFICATE: &str = "cert.pem";
const PEM_LIMIT: usize = 64 << 10;
/// What nodes ask for in place of a host's name; nobody's.
pub const SERVER_NAME: &str = "enrolment.vcc.internal";
/// How long a node's certificate is good.
const NODE_VALIDITY: Duration = Duration::days(90);
/// How far a clock may be behind ours.
const LEEWAY: Duration = Duration::hours(1);

/// The SHA-256 digest of a key (its SubjectPublicKeyInfo).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What a node is given so that it finds its server, and the server it: a secret that is good once, and the digest of the
/// authority's key.
#[derive(Clone)]
pub struct EnrolmentCode {
    /// The secret.
    pub secret: [u8; 16],
    /// Whose key it is for.
    pub authority: KeyDigest,
}

const CODE_PREFIX: &str = "vcc1-";

impl EnrolmentCode {
    /// As people pass it on.
    pub fn reveal(&self) -> String {
        let bytes = [self.secret.as_slice(), &self.authority.0].concat();
        format!("{CODE_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD
            .decode(text.trim().strip_prefix(CODE_PREFIX)?)
            .ok()?;
        let (secret, authority) = bytes.split_at_checked(16)?;
        Some(Self {
            secret: secret.try_into().ok()?,
            authority: KeyDigest(authority.try_into().ok()?),
        })
    }
}

/// A certificate for a node.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// Its number, in hexadecimal.
    pub serial: String,
    /// When it ends.
    pub expires: Moment,
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
    /// Reads the authority of a state directory, or makes one if there is none.
    ///
    /// # Errors
    /// [`Kind::Identity`] for a damaged one: it is never made anew, for no node would know it.
    pub fn load_or_create(root: &Path, now: Moment) -> Result<Self> {
        let directory = root.join(DIRECTORY);
        if directory.symlink_metadata().is_err() {
            let failed = |error| Error::new(Kind::Identity, DIRECTORY, "cannot be made").because(error);
            let key = KeyPair::generate().map_err(failed)?;
            let certificate = own_template(now)
                .and_then(|template| template.self_signed(&key))
                .map_err(failed)?;
            let files = [(KEY, key.serialize_pem()), (CERTIFICATE, certificate.pem())];
            file::create_directory(root, DIRECTORY, &files)?;
        }
        let damaged = |name: &str, reason: &str| {
            Error::new(Kind::Identity, directory.join(name).display().to_string(), reason)
        };
        let read = |name: &str| {
            let bytes = file::read(&directory.join(name), PEM_LIMIT);
            bytes.map_err(|error| damaged(name, "cannot be read").because(error))
        };
        let key = KeyPair::from_pem(&String::from_utf8_lossy(&read(KEY)?))
            .map_err(|error| damaged(KEY, "is not a private key in PEM").because(error))?;
        let certificate = CertificateDer::from_pem_slice(&read(CERTIFICATE)?)
            .map_err(|error| damaged(CERTIFICATE, "is not a certificate in PEM").because(error))?;
        let digest = KeyDigest::of_key(&key);
        if KeyDigest::of_certificate(&certificate) != Some(digest) {
            return Err(damaged(KEY, "does not belong to the certificate"));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| damaged(CERTIFICATE, "is no authority's").because(error))?;
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

    /// Key and certificates for the server's side of connections with nodes, made anew with every start.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn serving(&self, server: Uuid, now: Moment) -> Result<Arc<CertifiedKey>> {
        let failed =
            |error| Error::new(Kind::Identity, DIRECTORY, "cannot certify the server").because(error);
        let key = KeyPair::generate().map_err(failed)?;
        let mut template = CertificateParams::new(vec![SERVER_NAME.to_owned()]).map_err(failed)?;
        template
            .subject_alt_names
            .push(uri(&format!("urn:vcc:server:{server}"))?);
        template.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (template.not_before, template.not_after) = validity(now, Duration::days(3653));
        let leaf = template.signed_by(&key, &self.issuer).map_err(failed)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = rustls::crypto::ring::default_provider();
        CertifiedKey::from_der(chain, key, &provider)
            .map(Arc::new)
            .map_err(|error| Error::new(Kind::Tls, DIRECTORY, "the server's key is unusable").because(error))
    }

    /// A certificate for the key of a request; nothing else in it counts.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is no request signed by its own key.
    pub fn certify(&self, request: &[u8], node: Uuid, now: Moment) -> Result<Issued> {
        let mut request = read_request(request)?;
        let failed = |error| Error::new(Kind::Identity, DIRECTORY, "cannot certify a node").because(error);
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
        template.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        template.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        template.serial_number = Some(SerialNumber::from_slice(&bytes));
        let (from, to) = validity(now, NODE_VALIDITY);
        (template.not_before, template.not_after) = (from, to);
        request.params = template;
        let certificate = request.signed_by(&self.issuer).map_err(failed)?;
        Ok(Issued {
            certificate: certificate.der().clone(),
            serial: hex(&bytes),
            expires: Moment(to.unix_timestamp().saturating_mul(1000)),
        })
    }
}

fn read_request(request: &[u8]) -> Result<CertificateSigningRequestParams> {
    // Its signature is checked with it: whoever asks has the key.
    CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request.to_vec())).map_err(
        |error| Error::new(Kind::Malformed, "the request", "is no request for a certificate").because(error),
    )
}

/// The digest of the key that a request is for.
///
/// # Errors
/// [`Kind::Malformed`] for what is no request.
pub fn key_of_request(request: &[u8]) -> Result<KeyDigest> {
    use rcgen::PublicKeyData as _;
    Ok(KeyDigest::of(
        &read_request(request)?.public_key.subject_public_key_info(),
    ))
}

/// The node that a certificate of ours names, and the certificate's number.
pub fn node_of(certificate: &CertificateDer<'_>) -> Option<(Uuid, String)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    let node = names.value.general_names.iter().find_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix("urn:vcc:node:")?.parse().ok(),
        _ => None,
    })?;
    Some((node, hex(parsed.raw_serial())))
}

fn uri(text: &str) -> Result<SanType> {
    let text: Ia5String = text
        .try_into()
        .map_err(|error| Error::new(Kind::Identity, DIRECTORY, "cannot name anybody").because(error))?;
    Ok(SanType::URI(text))
}

fn own_template(now: Moment) -> Result<CertificateParams, rcgen::Error> {
    let mut template = CertificateParams::new(Vec::new())?;
    template
        .distinguished_name
        .push(DnType::CommonName, "VCC enrolment authority");
    template.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    template.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (template.not_before, template.not_after) = validity(now, Duration::days(20 * 365));
    Ok(template)
}

fn validity(now: Moment, long: Duration) -> (OffsetDateTime, OffsetDateTime) {
    let now = OffsetDateTime::from_unix_timestamp(now.0 / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    (now - LEEWAY, now + long)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_764_000_000_000);

    fn request(key: &KeyPair) -> Vec<u8> {
        let template = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        template.serialize_request(key).unwrap().der().to_vec()
    }

    #[test]
    fn an_authority_is_made_once_and_damage_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let first = Authority::load_or_create(directory.path(), NOW).unwrap();
        let second = Authority::load_or_create(directory.path(), NOW).unwrap();
        assert_eq!(first.digest(), second.digest());
        std::fs::remove_file(directory.path().join("authority/key.pem")).unwrap();
        let error = Authority::load_or_create(directory.path(), NOW).unwrap_err();
        assert_eq!(error.kind(), Kind::Identity);
    }

    #[test]
    fn a_certificate_says_who_the_node_is_and_nothing_that_the_node_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(directory.path(), NOW).unwrap();
        let (key, node) = (KeyPair::generate().unwrap(), Uuid::new_v4());
        let issued = authority.certify(&request(&key), node, NOW).unwrap();
        assert_eq!(node_of(&issued.certificate), Some((node, issued.serial.clone())));
        assert_eq!(
            KeyDigest::of_certificate(&issued.certificate),
            Some(key_of_request(&request(&key)).unwrap())
        );
        let text = String::from_utf8_lossy(&issued.certificate).into_owned();
        assert!(!text.contains("evil.example"));
        let mut tampered = request(&key);
        let middle = tampered.len() / 2;
        tampered[middle] ^= 1;
        assert!(authority.certify(&tampered, node, NOW).is_err());
    }

    #[test]
    fn a_code_carries_the_secret_and_the_authority_s_key() {
        let code = EnrolmentCode {
            secret: [7; 16],
            authority: KeyDigest([9; 32]),
        };
        let read = EnrolmentCode::parse(&format!(" {}\n", code.reveal())).unwrap();
        assert_eq!((read.secret, read.authority), (code.secret, code.authority));
        for wrong in ["", "vcc1-", "vcc1-AAAA", "vcc2-", &code.reveal()[..60]] {
            assert!(EnrolmentCode::parse(wrong).is_none(), "{wrong}");
        }
    }
}
