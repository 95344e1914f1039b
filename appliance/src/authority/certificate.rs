//! What nodes ask certificates with, and what the certificates say.

use rcgen::CertificateSigningRequestParams;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use time::OffsetDateTime;
use uuid::Uuid;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::{KeyDigest, node_name};
use crate::clock::Moment;
use crate::digest::hex;
use crate::error::{Error, Kind, Result};

/// What a node's certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCertificate {
    /// The node.
    pub node: Uuid,
    /// The certificate's number, in hexadecimal.
    pub serial: String,
    /// Its key's digest.
    pub key: KeyDigest,
    /// From when it is good.
    pub begins: Moment,
    /// Until when.
    pub expires: Moment,
    /// Whether other nodes can ask for it: those of earlier versions have no name for that.
    pub is_for_peers: bool,
}

impl NodeCertificate {
    /// Reads a certificate that our authority, or the server's, made for a node; nothing for any other.
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok()??;
        let node = names.value.general_names.iter().find_map(|name| match name {
            GeneralName::URI(uri) => uri.strip_prefix("urn:vcc:node:")?.parse().ok(),
            _ => None,
        })?;
        let name = node_name(node);
        let is_for_peers = names
            .value
            .general_names
            .iter()
            .any(|known| matches!(known, GeneralName::DNSName(known) if *known == name));
        Some(Self {
            node,
            is_for_peers,
            serial: hex(parsed.raw_serial()),
            key: KeyDigest::of(parsed.public_key().raw),
            begins: moment(parsed.validity().not_before.to_datetime()),
            expires: moment(parsed.validity().not_after.to_datetime()),
        })
    }
}

impl NodeCertificate {
    /// Whether the key of an authority's certificate signed a certificate; dates don't count.
    pub fn is_signed_by(certificate: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
        let (Ok((_, signed)), Ok((_, authority))) = (
            X509Certificate::from_der(certificate),
            X509Certificate::from_der(authority),
        ) else {
            return false;
        };
        let key = &authority.public_key().subject_public_key.data;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
            .verify(signed.tbs_certificate.as_ref(), &signed.signature_value.data)
            .is_ok()
    }
}

fn moment(at: OffsetDateTime) -> Moment {
    Moment(at.unix_timestamp().saturating_mul(1000))
}

pub(super) fn read_request(request: &[u8]) -> Result<CertificateSigningRequestParams> {
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
