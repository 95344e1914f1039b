//! The certificate file as bytes: one signature, then certificates.

use super::{Certificate, malformed, pkcs7};
use crate::error::{Error, Kind};
use crate::manifest::{Deviation, Deviations, DigestAlgorithm, Lines, Spelling, encode_hex, is_hex};

/// The ceiling of a certificate file's size in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The most certificates in a file.
const MAX_CHAIN: usize = 16;

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
    deviations: Deviations,
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
            deviations: Deviations::default(),
        })
    }

    /// Reads a certificate file in any of the field's spellings: see [`CertificateFile::deviations`].
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
        let mut lines = Lines::of(text);
        let (number, first) = lines.next().ok_or_else(|| malformed("the file is empty"))?;
        let statement = lines
            .statement(number, first, goes_on)
            .map_err(|error| signature_line(&error).at_line(number))?;
        let signature = if is_hex(&statement.value) {
            statement.hex(&mut lines.deviations)
        } else {
            lines.deviations.note(Spelling::Base64Signature, number);
            decode_base64(&statement.value)
        };
        let signature = signature
            .filter(|signature| !signature.is_empty())
            .ok_or_else(|| malformed("the signature is not hexadecimal, nor Base64").at_line(number))?;
        let (algorithm, name) = (statement.algorithm, statement.name);
        let chain = read_chain(&mut lines)?;
        let mut file = Self::new(algorithm, name, signature, chain)?;
        file.deviations = lines.deviations;
        Ok(file)
    }

    /// The file's bytes, in the one spelling that every consumer reads.
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

    /// What the file that was read spells in another way than [`CertificateFile::render`], each with its first line.
    pub fn deviations(&self) -> &[Deviation] {
        self.deviations.as_slice()
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

/// The PEM blocks after the signature: certificates, or one PKCS#7 block of them.
fn read_chain(lines: &mut Lines<'_>) -> Result<Vec<Certificate>, Error> {
    let mut chain = Vec::new();
    let mut unordered = false;
    while let Some((number, line)) = lines.next() {
        let at_line = |error: Error| error.at_line(number);
        match line {
            "-----BEGIN CERTIFICATE-----" => {
                let der = read_block(lines, "-----END CERTIFICATE-----").map_err(at_line)?;
                chain.push(Certificate::from_der(&der).map_err(at_line)?);
            }
            "-----BEGIN PKCS7-----" | "-----BEGIN CMS-----" if !unordered => {
                let end = line.replacen("BEGIN", "END", 1);
                let der = read_block(lines, &end).map_err(at_line)?;
                chain.extend(pkcs7::certificates(&der, MAX_CHAIN).map_err(at_line)?);
                lines.deviations.note(Spelling::Pkcs7Chain, number);
                unordered = true;
            }
            _ => {
                let reason = "a line that is neither signature nor certificate";
                return Err(malformed(reason).at_line(number));
            }
        }
        if chain.len() > MAX_CHAIN {
            return Err(malformed(format!("more than {MAX_CHAIN} certificates")).at_line(number));
        }
    }
    if unordered { pkcs7::order(chain) } else { Ok(chain) }
}

/// The bytes of one PEM block after its first line: Base64 up to `end`, and nothing else.
fn read_block(lines: &mut Lines<'_>, end: &str) -> Result<Vec<u8>, Error> {
    let mut text = String::new();
    for (_, line) in lines {
        if line == end {
            return decode_base64(&text).ok_or_else(|| malformed("a block is not Base64"));
        }
        if !is_base64(line) {
            return Err(malformed("a block has a line that is not Base64"));
        }
        text.push_str(line);
    }
    Err(malformed("a block has no end"))
}

/// Whether a line goes on with a signature: hexadecimal with hexadecimal, Base64 with Base64.
fn goes_on(value: &str, line: &str) -> bool {
    if value.is_empty() || !is_hex(value) {
        is_base64(line)
    } else {
        is_hex(line)
    }
}

fn is_base64(line: &str) -> bool {
    line.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn signature_line(error: &Error) -> Error {
    match error.kind() {
        Kind::ManifestAlgorithm => Error::new(Kind::CertificateAlgorithm, error.reason()),
        _ => malformed("the first line is not of the form ALGORITHM(name.mf)= signature"),
    }
}
