//! Signing a manifest: a key with the certificates that speak for it.

use std::fmt;

use super::key::SigningKey;
use super::{Certificate, CertificateFile, check_links, malformed};
use crate::error::{Error, Kind};
use crate::manifest::{DigestAlgorithm, encode_hex};

/// What holds a private key and signs with it: a key in memory, or a device that never gives its key away.
pub trait SigningDevice: Send + Sync {
    /// The RSA PKCS#1 v1.5 signature of `manifest`, as its digest under `algorithm`. What it returns is verified before
    /// it is used.
    ///
    /// # Errors
    /// [`Kind::KeyDevice`], or what is wrong with the key.
    fn sign(
        &self,
        algorithm: DigestAlgorithm,
        manifest_name: &str,
        manifest: &[u8],
    ) -> Result<Vec<u8>, Error>;
}

impl SigningDevice for SigningKey {
    fn sign(&self, algorithm: DigestAlgorithm, _: &str, manifest: &[u8]) -> Result<Vec<u8>, Error> {
        SigningKey::sign(self, algorithm, manifest)
    }
}

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
pub struct Signer {
    device: Box<dyn SigningDevice>,
    chain: Vec<Certificate>,
    algorithm: DigestAlgorithm,
    /// The length of its signatures in bytes.
    signature_len: usize,
}

impl Signer {
    /// A signer over SHA-256, its key in memory.
    ///
    /// # Errors
    /// [`Kind::KeyMismatch`] if the key is not that of the first certificate; otherwise as [`Signer::with_device`].
    pub fn new(key: SigningKey, chain: Vec<Certificate>) -> Result<Self, Error> {
        let signer = Self::with_device(Box::new(key), chain)?;
        // A signature that the certificate accepts proves that the two belong together, whatever the encodings.
        signer.signature("probe", b"key and certificate")?;
        Ok(signer)
    }

    /// A signer over SHA-256, its key in a device. Whether it is the key of the first certificate shows when it signs.
    ///
    /// # Errors
    /// [`Kind::CertificateUntrusted`] if a certificate is not issued by the next; those of
    /// [`Certificate::check_usage`], [`Kind::CertificateKeySize`] and [`Kind::CertificateAlgorithm`], since every
    /// consumer would refuse the package; [`Kind::CertificateMalformed`] for a chain without certificates.
    pub fn with_device(device: Box<dyn SigningDevice>, chain: Vec<Certificate>) -> Result<Self, Error> {
        let first = chain
            .first()
            .ok_or_else(|| malformed("the chain has no certificate"))?;
        first.check_usage()?;
        check_links(&chain)?;
        first.rsa_key()?;
        let bits = first.rsa_bits()?.unwrap_or_default();
        Ok(Signer {
            device,
            chain,
            algorithm: DigestAlgorithm::Sha256,
            signature_len: bits.div_ceil(8),
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
        // `with_device` takes no empty chain.
        &self.chain[0]
    }

    /// The certificate file for a manifest's very bytes.
    ///
    /// # Errors
    /// [`Kind::KeyMalformed`] or [`Kind::KeyDevice`] if the key cannot sign; [`Kind::KeyMismatch`] if what it signed
    /// does not verify by the certificate's key: another key, or a fault in the computation.
    pub fn sign(&self, manifest_name: &str, manifest: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.signature(manifest_name, manifest)?;
        let file = CertificateFile::new(self.algorithm, manifest_name, signature, self.chain.clone())?;
        Ok(file.render())
    }

    /// A signature that has been verified.
    fn signature(&self, manifest_name: &str, manifest: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.device.sign(self.algorithm, manifest_name, manifest)?;
        let first = self.certificate();
        match first.verify(self.algorithm, manifest, &signature) {
            Ok(()) => Ok(signature),
            Err(error) if error.kind() == Kind::CertificateSignature => {
                let subject = first.subject();
                let reason = format!("the private key is not the one of the certificate of {subject}");
                Err(Error::new(Kind::KeyMismatch, reason))
            }
            Err(error) => Err(error),
        }
    }

    /// The number of bytes that [`Signer::sign`] will give for a manifest of that name.
    pub fn file_len(&self, manifest_name: &str) -> u64 {
        let blank = encode_hex(&vec![0; self.signature_len]);
        let line = format!("{}({manifest_name})= {blank}\n", self.algorithm);
        let chain: usize = self
            .chain
            .iter()
            .map(|certificate| certificate.to_pem().len())
            .sum();
        (line.len() + chain) as u64
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("chain", &self.chain)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
