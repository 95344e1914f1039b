//! Signing a manifest: a key with the certificates that speak for it.

use super::key::SigningKey;
use super::x509::{Certificate, check_links};
use super::{CertificateFile, malformed};
use crate::error::{Error, Kind};
use crate::manifest::{DigestAlgorithm, encode_hex};

/// A publisher who can sign: a private key and its certificate's chain.
///
/// ```no_run
/// use ovf::certificate::{Certificate, Signer, SigningKey};
///
/// let key = SigningKey::from_pem(&std::fs::read("key.pem")?, None)?;
/// let chain = Certificate::all_from_pem(&std::fs::read("cert.pem")?)?;
/// let signer = Signer::new(key, chain)?;
/// let cert_file = signer.sign("product.mf", b"SHA256(product.ovf)= ...\n")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Signer {
    key: SigningKey,
    chain: Vec<Certificate>,
    algorithm: DigestAlgorithm,
}

impl Signer {
    /// A signer over SHA-256.
    ///
    /// # Errors
    /// [`Kind::KeyMismatch`] if the key is not that of the first certificate; [`Kind::CertificateUntrusted`] if a
    /// certificate is not issued by the next; those of [`Certificate::check_usage`], since every consumer would refuse
    /// the package.
    pub fn new(key: SigningKey, chain: Vec<Certificate>) -> Result<Self, Error> {
        let first = chain
            .first()
            .ok_or_else(|| malformed("the chain has no certificate"))?;
        first.check_usage()?;
        check_links(&chain)?;
        // A signature that the certificate accepts proves that the two belong together, whatever the encodings.
        let probe = b"key and certificate";
        let signature = key.sign(DigestAlgorithm::Sha256, probe)?;
        first
            .verify(DigestAlgorithm::Sha256, probe, &signature)
            .map_err(|error| match error.kind() {
                Kind::CertificateSignature => {
                    let reason = format!(
                        "the private key is not the one of the certificate of {}",
                        first.subject()
                    );
                    Error::new(Kind::KeyMismatch, reason)
                }
                _ => error,
            })?;
        Ok(Signer {
            key,
            chain,
            algorithm: DigestAlgorithm::Sha256,
        })
    }

    /// The same signer over another digest.
    ///
    /// # Errors
    /// [`Kind::CertificateAlgorithm`] for SHA-1.
    pub fn with_algorithm(self, algorithm: DigestAlgorithm) -> Result<Self, Error> {
        if !algorithm.is_strong() {
            return Err(Error::new(
                Kind::CertificateAlgorithm,
                "SHA-1 signatures are not made",
            ));
        }
        Ok(Signer { algorithm, ..self })
    }

    /// The signer's certificate.
    pub fn certificate(&self) -> &Certificate {
        // `new` takes no empty chain.
        &self.chain[0]
    }

    /// The certificate file for a manifest's very bytes.
    ///
    /// # Errors
    /// [`Kind::KeyMalformed`] if the key cannot sign; [`Kind::CertificateSignature`] if what it signed does not
    /// verify: a fault in the computation, which must not leave this function.
    pub fn sign(&self, manifest_name: &str, manifest: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.key.sign(self.algorithm, manifest)?;
        let file = CertificateFile::new(self.algorithm, manifest_name, signature, self.chain.clone())?;
        file.verify_signature(manifest)?;
        Ok(file.render())
    }

    /// The number of bytes that [`Signer::sign`] will give for a manifest of that name.
    pub fn file_len(&self, manifest_name: &str) -> u64 {
        let blank = encode_hex(&vec![0; self.key.signature_len()]);
        let line = format!("{}({manifest_name})= {blank}\n", self.algorithm);
        let chain: usize = self
            .chain
            .iter()
            .map(|certificate| certificate.to_pem().len())
            .sum();
        (line.len() + chain) as u64
    }
}
