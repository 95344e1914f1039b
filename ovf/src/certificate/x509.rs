//! An X.509 certificate: what it says, and what its key has signed.

use std::fmt;

use ring::signature::{self, RsaParameters, UnparsedPublicKey};
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use super::{MIN_KEY_BITS, malformed};
use crate::error::{Error, Kind};
use crate::manifest::{Digest, DigestAlgorithm};

/// A certificate, kept as it was encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    subject: String,
    issuer: String,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    not_before: i64,
    not_after: i64,
    self_issued: bool,
    authority: bool,
    /// The SubjectPublicKeyInfo in DER.
    key: Vec<u8>,
}

impl Certificate {
    /// Reads one certificate in DER.
    ///
    /// # Errors
    /// [`Kind::CertificateMalformed`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let parsed = parse(der)?;
        let constraints = parsed.basic_constraints().map_err(unreadable)?;
        Ok(Certificate {
            der: der.to_vec(),
            subject: display(parsed.subject()),
            issuer: display(parsed.issuer()),
            subject_der: parsed.subject().as_raw().to_vec(),
            issuer_der: parsed.issuer().as_raw().to_vec(),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
            authority: constraints.is_some_and(|constraints| constraints.value.ca),
            key: parsed.public_key().raw.to_vec(),
        })
    }

    /// Reads every certificate of a PEM text, in order; other blocks are passed over.
    ///
    /// # Errors
    /// [`Kind::CertificateMalformed`], also for a text without certificates.
    pub fn all_from_pem(pem: &[u8]) -> Result<Vec<Self>, Error> {
        let blocks = pem::parse_many(pem)
            .map_err(|error| malformed("the PEM text cannot be read").caused_by(error))?;
        let certificates: Vec<_> = blocks
            .iter()
            .filter(|block| block.tag() == "CERTIFICATE")
            .map(|block| Self::from_der(block.contents()))
            .collect::<Result<_, _>>()?;
        if certificates.is_empty() {
            return Err(malformed("the PEM text has no certificate"));
        }
        Ok(certificates)
    }

    /// The certificate in DER.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate in PEM: LF, 64 columns.
    pub fn to_pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new("CERTIFICATE", self.der.clone()), config)
    }

    /// Whom it names, for people.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Who issued it, for people.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The first second of its validity, in Unix time.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// The last second of its validity, in Unix time.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether it names itself as its issuer.
    pub fn is_self_issued(&self) -> bool {
        self.self_issued
    }

    /// Whether it says that it may issue certificates.
    pub fn is_authority(&self) -> bool {
        self.authority
    }

    /// Whether its key is that of `other`.
    pub fn has_key_of(&self, other: &Certificate) -> bool {
        self.key == other.key
    }

    /// The SHA-256 digest of the certificate.
    pub fn fingerprint(&self) -> Digest {
        DigestAlgorithm::Sha256.digest(&self.der)
    }

    /// The SHA-256 digest of the key: of its SubjectPublicKeyInfo in DER, as pins of keys are told elsewhere.
    pub fn key_fingerprint(&self) -> Digest {
        DigestAlgorithm::Sha256.digest(&self.key)
    }

    /// The size of an RSA key in bits; none for another kind of key.
    ///
    /// # Errors
    /// [`Kind::CertificateMalformed`].
    pub fn rsa_bits(&self) -> Result<Option<usize>, Error> {
        let parsed = parse(&self.der)?;
        match parsed.public_key().parsed() {
            Ok(PublicKey::RSA(rsa)) => Ok(Some(modulus_bits(rsa.modulus))),
            Ok(_) => Ok(None),
            Err(error) => Err(malformed("the certificate's key cannot be read").caused_by(error)),
        }
    }

    /// Whether its key has at least `min_bits` bits, where it is RSA.
    ///
    /// # Errors
    /// [`Kind::CertificateKeySize`], [`Kind::CertificateMalformed`].
    pub fn check_key_size(&self, min_bits: usize) -> Result<(), Error> {
        match self.rsa_bits()? {
            Some(bits) if bits < min_bits => {
                let reason = format!(
                    "the RSA key of {} has {bits} bits, the least is {min_bits}",
                    self.subject
                );
                Err(Error::new(Kind::CertificateKeySize, reason))
            }
            _ => Ok(()),
        }
    }

    /// The RSA key, as the DER of a PKCS#1 `RSAPublicKey`.
    ///
    /// # Errors
    /// [`Kind::CertificateAlgorithm`] for a key that is not RSA; [`Kind::CertificateKeySize`] below
    /// [`MIN_KEY_BITS`].
    pub(super) fn rsa_key(&self) -> Result<Vec<u8>, Error> {
        let parsed = parse(&self.der)?;
        let key = parsed.public_key();
        match key.parsed() {
            Ok(PublicKey::RSA(_)) => {
                self.check_key_size(MIN_KEY_BITS)?;
                Ok(key.subject_public_key.data.to_vec())
            }
            Ok(_) => Err(Error::new(
                Kind::CertificateAlgorithm,
                "the signer's key is not RSA",
            )),
            Err(error) => Err(malformed("the signer's key cannot be read").caused_by(error)),
        }
    }

    /// Whether `signature` is one by this certificate's key over `message`.
    pub(super) fn verify(
        &self,
        algorithm: DigestAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let key = self.rsa_key()?;
        let parameters: &RsaParameters = match algorithm {
            DigestAlgorithm::Sha1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            DigestAlgorithm::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            DigestAlgorithm::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            DigestAlgorithm::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        };
        UnparsedPublicKey::new(parameters, key)
            .verify(message, signature)
            .map_err(|_| {
                Error::new(
                    Kind::CertificateSignature,
                    "the signature is not one by the certificate's key over the manifest",
                )
            })
    }

    /// Whether it names `issuer` as its issuer; nothing is said of signatures.
    pub(super) fn is_named_issuer(&self, issuer: &Certificate) -> bool {
        self.issuer_der == issuer.subject_der
    }

    /// The issuer's name in DER.
    pub(super) fn issuer_der(&self) -> &[u8] {
        &self.issuer_der
    }

    pub(super) fn pki(&self) -> CertificateDer<'_> {
        CertificateDer::from(self.der.as_slice())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", self.subject, self.fingerprint())
    }
}

pub(super) fn unreadable(error: X509Error) -> Error {
    malformed("an extension of the certificate cannot be read").caused_by(error)
}

pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Error> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(malformed("bytes follow the certificate")),
        Err(error) => Err(malformed("the certificate is not X.509").caused_by(error)),
    }
}

/// A name as text for a terminal: what could move the cursor or reorder the line is escaped.
pub(super) fn display(name: &X509Name<'_>) -> String {
    let text = name.to_string();
    let harmless = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .flat_map(|c| {
            if harmless(c) {
                vec![c]
            } else {
                c.escape_unicode().collect()
            }
        })
        .take(512)
        .collect()
}

fn modulus_bits(modulus: &[u8]) -> usize {
    let significant = modulus
        .iter()
        .position(|byte| *byte != 0)
        .map_or(&[][..], |at| &modulus[at..]);
    significant
        .first()
        .map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}
