//! A publisher's private key.

use std::fmt;

use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};

use super::MIN_KEY_BITS;
use crate::error::{Error, Kind};
use crate::manifest::DigestAlgorithm;

/// An RSA private key of at least 2048 bits; wiped from memory when dropped, never shown.
pub struct SigningKey {
    key: RsaPrivateKey,
}

impl SigningKey {
    /// Reads a key in PEM: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`), or PKCS#8 under a passphrase
    /// (`ENCRYPTED PRIVATE KEY`, PBES2).
    ///
    /// # Errors
    /// [`Kind::KeyMalformed`]; [`Kind::KeyPassphrase`] if the passphrase is missing or wrong;
    /// [`Kind::CertificateAlgorithm`] for a key that is not RSA; [`Kind::CertificateKeySize`] below 2048 bits.
    pub fn from_pem(pem: &[u8], passphrase: Option<&[u8]>) -> Result<Self, Error> {
        let blocks = pem::parse_many(pem).map_err(|_| malformed("the key is not PEM"))?;
        let block = blocks.iter().find(|block| block.tag().ends_with("PRIVATE KEY"));
        let block = block.ok_or_else(|| malformed("the file has no private key"))?;
        let key = match block.tag() {
            "PRIVATE KEY" => {
                RsaPrivateKey::from_pkcs8_der(block.contents()).map_err(|error| pkcs8(&error))?
            }
            "RSA PRIVATE KEY" if block.headers().iter().next().is_some() => {
                return Err(malformed(
                    "the key is encrypted in OpenSSL's old way: convert it with openssl pkcs8 -topk8",
                ));
            }
            "RSA PRIVATE KEY" => RsaPrivateKey::from_pkcs1_der(block.contents())
                .map_err(|error| malformed("the key is not PKCS#1").caused_by(error.to_string()))?,
            "ENCRYPTED PRIVATE KEY" => decrypt(block.contents(), passphrase)?,
            _ => {
                return Err(Error::new(
                    Kind::CertificateAlgorithm,
                    "the private key is not RSA",
                ));
            }
        };
        let bits = key.n().bits();
        if bits < MIN_KEY_BITS {
            let reason = format!("the RSA key has {bits} bits, the least is {MIN_KEY_BITS}");
            return Err(Error::new(Kind::CertificateKeySize, reason));
        }
        key.validate()
            .map_err(|error| malformed("the key's numbers do not belong together").caused_by(error))?;
        Ok(SigningKey { key })
    }

    /// The RSA PKCS#1 v1.5 signature of `message`: the same bytes every time; the computation is blinded.
    pub(super) fn sign(&self, algorithm: DigestAlgorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        let scheme = match algorithm {
            DigestAlgorithm::Sha256 => Pkcs1v15Sign::new::<sha2::Sha256>(),
            DigestAlgorithm::Sha384 => Pkcs1v15Sign::new::<sha2::Sha384>(),
            DigestAlgorithm::Sha512 => Pkcs1v15Sign::new::<sha2::Sha512>(),
            DigestAlgorithm::Sha1 => {
                return Err(Error::new(
                    Kind::CertificateAlgorithm,
                    "SHA-1 signatures are not made",
                ));
            }
        };
        let digest = algorithm.digest(message);
        self.key
            .sign_with_rng(&mut OsRng, scheme, digest.as_bytes())
            .map_err(|error| malformed("the key cannot sign").caused_by(error))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(RSA, {} bits)", self.key.n().bits())
    }
}

fn decrypt(der: &[u8], passphrase: Option<&[u8]>) -> Result<RsaPrivateKey, Error> {
    let passphrase = passphrase
        .ok_or_else(|| Error::new(Kind::KeyPassphrase, "the key is encrypted and needs a passphrase"))?;
    RsaPrivateKey::from_pkcs8_encrypted_der(der, passphrase).map_err(|error| match error {
        rsa::pkcs8::Error::PublicKey(_) => pkcs8(&error),
        // Of wrong passphrases one in 256 gives padding that looks right, and nonsense before it.
        _ => Error::new(
            Kind::KeyPassphrase,
            "the passphrase does not open the key, or its encryption is not PBES2",
        )
        .caused_by(error.to_string()),
    })
}

fn pkcs8(error: &rsa::pkcs8::Error) -> Error {
    match error {
        rsa::pkcs8::Error::PublicKey(rsa::pkcs8::spki::Error::OidUnknown { .. }) => {
            Error::new(Kind::CertificateAlgorithm, "the private key is not RSA")
        }
        other => malformed("the key is not PKCS#8").caused_by(other.to_string()),
    }
}

fn malformed(reason: impl Into<String>) -> Error {
    Error::new(Kind::KeyMalformed, reason)
}
