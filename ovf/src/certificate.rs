//! The certificate file: the publisher's signature over the manifest, and who the publisher is (DSP0243 5.1).
//!
//! Its first line is `SHA256(name.mf)= ` and the RSA PKCS#1 v1.5 signature of the manifest's very bytes in
//! hexadecimal; then stand the signer's X.509 certificate and those that lead towards a root, in PEM.
//!
//! [`CertificateFile::parse`] takes nothing else: text that the signature does not cover and no reader interprets is
//! a place to hide in. [`CertificateFile::verify_signature`] answers whether the manifest is signed by the key in the
//! certificate; [`Certificate::check_usage`], [`Certificate::check_validity`], [`check_links`] and [`TrustRoots`]
//! answer whether that key may sign and is trusted. Time is passed in.

mod key;
mod signer;
mod trust;
mod x509;

pub use self::key::SigningKey;
pub use self::signer::Signer;
pub use self::trust::TrustRoots;
pub use self::x509::{Certificate, check_links};

use crate::error::{Error, Kind};
use crate::manifest::{DigestAlgorithm, decode_hex, encode_hex, split_line};

/// The ceiling of a certificate file's size in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The least size of an RSA key, in bits.
pub const MIN_KEY_BITS: usize = 2048;

/// The most certificates in a file.
const MAX_CHAIN: usize = 16;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// A certificate file, read but not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFile {
    /// The digest that the signature is over.
    pub algorithm: DigestAlgorithm,
    /// The manifest that the file says it signs.
    pub manifest_name: String,
    /// The signature.
    pub signature: Vec<u8>,
    /// The certificates, the signer's first; never empty.
    chain: Vec<Certificate>,
}

impl CertificateFile {
    /// Puts a file together.
    ///
    /// # Errors
    /// [`Kind::CertificateMalformed`] for a chain without certificates.
    pub fn new(
        algorithm: DigestAlgorithm,
        manifest_name: impl Into<String>,
        signature: Vec<u8>,
        chain: Vec<Certificate>,
    ) -> Result<Self, Error> {
        if chain.is_empty() {
            return Err(malformed("the file has no certificate"));
        }
        Ok(CertificateFile {
            algorithm,
            manifest_name: manifest_name.into(),
            signature,
            chain,
        })
    }

    /// Reads a certificate file. The signature's hexadecimal may run over several lines.
    ///
    /// # Errors
    /// [`Kind::CertificateMalformed`] with the line; [`Kind::CertificateAlgorithm`] for a digest that is not known;
    /// [`Kind::PackageLimit`] above [`MAX_BYTES`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_BYTES {
            return Err(Error::new(
                Kind::PackageLimit,
                format!("the file is larger than {MAX_BYTES} bytes"),
            ));
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| malformed("the file is not UTF-8").at_offset(error.valid_up_to() as u64))?;
        let mut lines = (1u64..).zip(text.lines()).peekable();
        let (number, first) = lines.next().ok_or_else(|| malformed("the file is empty"))?;
        let (algorithm, name, hex) =
            split_line(first).map_err(|error| signature_line(&error).at_line(number))?;
        let mut hex = hex.to_owned();
        while let Some((_, more)) = lines.next_if(|(_, line)| is_hex_line(line)) {
            hex.push_str(more.trim());
        }
        let signature = decode_hex(&hex).filter(|signature| !signature.is_empty());
        let signature =
            signature.ok_or_else(|| malformed("the signature is not hexadecimal").at_line(number))?;
        let mut chain = Vec::new();
        while let Some((number, line)) = lines.next() {
            if line.is_empty() {
                continue;
            }
            if line != BEGIN {
                return Err(malformed(unexpected(line)).at_line(number));
            }
            if chain.len() == MAX_CHAIN {
                return Err(malformed(format!("more than {MAX_CHAIN} certificates")).at_line(number));
            }
            chain.push(read_block(&mut lines).map_err(|error| error.at_line(number))?);
        }
        Self::new(algorithm, name, signature, chain)
    }

    /// The file's bytes.
    pub fn render(&self) -> Vec<u8> {
        let mut text = format!(
            "{}({})= {}\n",
            self.algorithm,
            self.manifest_name,
            encode_hex(&self.signature)
        );
        for certificate in &self.chain {
            text.push_str(&certificate.to_pem());
        }
        text.into_bytes()
    }

    /// The signer's certificate.
    pub fn signer(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The certificates, the signer's first.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// Whether the signature is one by the signer's key over `manifest`, the manifest's very bytes.
    ///
    /// # Errors
    /// [`Kind::CertificateKeySize`], [`Kind::CertificateAlgorithm`] (a key that is not RSA, or above 8192 bits),
    /// [`Kind::CertificateSignature`].
    pub fn verify_signature(&self, manifest: &[u8]) -> Result<(), Error> {
        self.signer().verify(self.algorithm, manifest, &self.signature)
    }
}

/// The lines of one PEM block after its first: Base64 and nothing else.
fn read_block<'a>(lines: &mut impl Iterator<Item = (u64, &'a str)>) -> Result<Certificate, Error> {
    let mut block = format!("{BEGIN}\n");
    for (_, line) in lines {
        if line == END {
            block.push_str(END);
            let pem = pem::parse(&block)
                .map_err(|error| malformed("a certificate is not Base64").caused_by(error))?;
            return Certificate::from_der(pem.contents());
        }
        if line.is_empty()
            || !line
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
        {
            return Err(malformed("a certificate has a line that is not Base64"));
        }
        block.push_str(line);
        block.push('\n');
    }
    Err(malformed("a certificate has no end"))
}

fn is_hex_line(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn signature_line(error: &Error) -> Error {
    match error.kind() {
        Kind::ManifestAlgorithm => Error::new(Kind::CertificateAlgorithm, error.reason()),
        _ => malformed("the first line is not of the form ALGORITHM(name.mf)= signature"),
    }
}

fn unexpected(line: &str) -> &'static str {
    match line {
        "-----BEGIN PKCS7-----" => {
            "PKCS#7 is not supported: put the certificates in PEM, one after the other"
        }
        _ => "a line that is neither signature nor certificate",
    }
}

fn malformed(reason: impl Into<String>) -> Error {
    Error::new(Kind::CertificateMalformed, reason)
}

#[cfg(test)]
mod tests;
