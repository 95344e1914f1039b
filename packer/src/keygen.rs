//! Keys for development: a certificate authority, and a code-signing certificate that it issued.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rsa::RsaPrivateKey;
use rustls_pki_types::PrivatePkcs8KeyDer;
use time::{Duration, OffsetDateTime};

use crate::error::{Error, Result};
use crate::output::write_whole;

/// Bits of the RSA keys: 128-bit strength (NIST SP 800-57), and what importers in the field read.
const BITS: usize = 3072;

/// What [`generate`] writes.
#[derive(Debug, Clone)]
pub struct DevelopmentKeys {
    /// The authority's certificate: what `--trust` takes.
    pub ca: String,
    /// The signer's certificate: what `--cert` takes.
    pub certificate: String,
    /// The signer's private key, PKCS#8: what `--sign` takes.
    pub key: String,
}

/// Makes the keys. The authority's own key is thrown away: nothing else can ever be issued under it.
///
/// # Errors
/// The random source fails.
pub fn generate(now: OffsetDateTime) -> Result<DevelopmentKeys> {
    let (ca_key, _) = rsa_key()?;
    let mut ca = named("FOR DEVELOPMENT ONLY - certificate authority", now);
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key).map_err(failed)?;
    let (key, pem) = rsa_key()?;
    let mut signer = named("FOR DEVELOPMENT ONLY - package signer", now);
    signer.is_ca = IsCa::ExplicitNoCa;
    signer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    signer.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    signer.use_authority_key_identifier_extension = true;
    let certificate = signer
        .signed_by(&key, &Issuer::from_params(&ca, &ca_key))
        .map_err(failed)?;
    Ok(DevelopmentKeys {
        ca: ca_certificate.pem(),
        certificate: certificate.pem(),
        key: pem,
    })
}

/// Writes `ca.pem`, `cert.pem` and `key.pem` (readable by the owner alone) into a folder that has none of them.
///
/// # Errors
/// One of the files exists already, or can't be written.
pub fn write(keys: &DevelopmentKeys, folder: &Path) -> Result<()> {
    let names = ["ca.pem", "cert.pem", "key.pem"];
    if let Some(taken) = names
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.exists())
    {
        return Err(Error::Usage(format!(
            "{}: exists already; keys are never written over",
            taken.display()
        )));
    }
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
    write_private(&folder.join("key.pem"), &keys.key)?;
    write_whole(&folder.join("cert.pem"), keys.certificate.as_bytes())?;
    write_whole(&folder.join("ca.pem"), keys.ca.as_bytes())
}

fn write_private(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::io(path, "create"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(Error::io(path, "write"))
}

fn named(common_name: &str, now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(825);
    params
}

/// rcgen signs with ring, and ring makes no RSA keys: `rsa` makes them.
fn rsa_key() -> Result<(KeyPair, String)> {
    use pkcs8::EncodePrivateKey as _;
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS).map_err(failed)?;
    let der = key.to_pkcs8_der().map_err(failed)?;
    let pem = key
        .to_pkcs8_pem(pkcs8::LineEnding::LF)
        .map_err(failed)?
        .to_string();
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(
        &PrivatePkcs8KeyDer::from(der.as_bytes()),
        &rcgen::PKCS_RSA_SHA256,
    );
    Ok((pair.map_err(failed)?, pem))
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::program("key generation", error)
}
