//! Documents, and who vouches for them: ECDSA over P-256 and SHA-256.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls_pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// What a document is for: one that was signed for something else is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A [`Grant`](super::Grant), by the server's authority.
    Grant,
    /// A [`Receipt`](super::Receipt), by a destination.
    Receipt,
    /// A chunk index's root, by a source.
    Index,
}

impl Purpose {
    /// What stands before the document where it is signed.
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Grant => b"vcc transfer grant 1\0",
            Self::Receipt => b"vcc transfer receipt 1\0",
            Self::Index => b"vcc chunk index 1\0",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Grant => "the grant",
            Self::Receipt => "the receipt",
            Self::Index => "the chunk index",
        }
    }

    /// The longest document in bytes.
    fn longest(self) -> usize {
        match self {
            Self::Grant | Self::Receipt => 64 << 10,
            Self::Index => 8 << 20,
        }
    }

    /// The bytes that are signed.
    fn covered(self, document: &[u8]) -> Vec<u8> {
        [self.prefix(), document].concat()
    }
}

/// A document with its signature, and the certificate of whoever signed it; all in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignedDocument)]
pub struct Signed {
    /// The document's bytes.
    pub document: String,
    /// The signature in DER.
    pub signature: String,
    /// The signer's certificate in DER.
    pub certificate: String,
}

impl Signed {
    /// Has bytes signed.
    ///
    /// # Errors
    /// What the signer says.
    pub fn bytes(
        purpose: Purpose,
        document: &[u8],
        certificate: &CertificateDer<'_>,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        Ok(Self {
            document: BASE64_STANDARD.encode(document),
            signature: BASE64_STANDARD.encode(sign(&purpose.covered(document))?),
            certificate: BASE64_STANDARD.encode(certificate),
        })
    }

    /// Has a document signed.
    ///
    /// # Errors
    /// What the signer says.
    pub fn new(
        purpose: Purpose,
        document: &impl Serialize,
        certificate: &CertificateDer<'_>,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        let bytes = serde_json::to_vec(document).map_err(|error| {
            Error::new(Kind::Malformed, purpose.name(), "can't be written").because(error)
        })?;
        Self::bytes(purpose, &bytes, certificate, sign)
    }

    /// The certificate that comes with it; whether its key may sign this is for the caller to judge, before [`Signed::open`].
    ///
    /// # Errors
    /// [`Kind::Malformed`].
    pub fn certificate(&self, purpose: Purpose) -> Result<CertificateDer<'static>> {
        decode(purpose, &self.certificate).map(CertificateDer::from)
    }

    /// The bytes, if the certificate's key signed them for this purpose.
    ///
    /// # Errors
    /// [`Kind::Malformed`]; [`Kind::Mismatch`] for a signature that is wrong.
    pub fn open(&self, purpose: Purpose) -> Result<Vec<u8>> {
        let wrong = || {
            Error::new(
                Kind::Mismatch,
                purpose.name(),
                "is not signed by the key of its certificate",
            )
        };
        let certificate = self.certificate(purpose)?;
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| malformed(purpose))?;
        let key = UnparsedPublicKey::new(
            &ECDSA_P256_SHA256_ASN1,
            &parsed.public_key().subject_public_key.data,
        );
        let document = decode(purpose, &self.document)?;
        let signature = decode(purpose, &self.signature)?;
        key.verify(&purpose.covered(&document), &signature)
            .map_err(|_| wrong())?;
        Ok(document)
    }

    /// The same, read.
    ///
    /// # Errors
    /// As [`Signed::open`].
    pub fn read<T: DeserializeOwned>(&self, purpose: Purpose) -> Result<T> {
        serde_json::from_slice(&self.open(purpose)?).map_err(|error| malformed(purpose).because(error))
    }

    /// SHA-256 of the document.
    ///
    /// # Errors
    /// [`Kind::Malformed`].
    pub fn digest(&self, purpose: Purpose) -> Result<Digest> {
        Ok(Digest::of(&decode(purpose, &self.document)?))
    }
}

fn malformed(purpose: Purpose) -> Error {
    Error::new(Kind::Malformed, purpose.name(), "is not as it should be")
}

fn decode(purpose: Purpose, text: &str) -> Result<Vec<u8>> {
    if text.len() > purpose.longest() * 2 {
        return Err(Error::new(Kind::Ceiling, purpose.name(), "is too long"));
    }
    BASE64_STANDARD
        .decode(text)
        .map_err(|error| malformed(purpose).because(error))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SigningKey as _};

    use super::*;

    fn signer() -> (KeyPair, CertificateDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(Vec::new())
            .unwrap()
            .self_signed(&key)
            .unwrap();
        (key, certificate.der().clone())
    }

    fn signed(document: &[u8]) -> Signed {
        let (key, certificate) = signer();
        Signed::bytes(Purpose::Grant, document, &certificate, |bytes| {
            Ok(key.sign(bytes).unwrap())
        })
        .unwrap()
    }

    #[test]
    fn a_document_is_good_for_its_purpose_and_by_its_signer_alone() {
        let good = signed(b"{}");
        assert_eq!(good.open(Purpose::Grant).unwrap(), b"{}");
        assert_eq!(good.open(Purpose::Receipt).unwrap_err().kind(), Kind::Mismatch);
        let another = Signed {
            certificate: BASE64_STANDARD.encode(signer().1),
            ..good.clone()
        };
        assert_eq!(another.open(Purpose::Grant).unwrap_err().kind(), Kind::Mismatch);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_other_bytes_are_good(document in any::<Vec<u8>>(), other in any::<Vec<u8>>(), text in "[A-Za-z0-9+/=]{0,80}") {
            let good = signed(&document);
            let changed = Signed { document: BASE64_STANDARD.encode(&other), ..good.clone() };
            prop_assert_eq!(changed.open(Purpose::Grant).is_ok(), document == other);
            let changed = Signed { signature: text.clone(), ..good.clone() };
            prop_assert!(changed.open(Purpose::Grant).is_err());
            let changed = Signed { certificate: text, ..good };
            prop_assert!(changed.open(Purpose::Grant).is_err());
        }
    }
}
