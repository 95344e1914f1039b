use std::path::Path;

use ovf::certificate::{Certificate, Signer, SigningKey};

use crate::error::{Error, Result};
use crate::input::read_bounded;

const MAX_PEM_BYTES: u64 = 1 << 20;

/// Reads an RSA key and its certificate chain, the signer's own first; `passphrase` is asked only for an encrypted key.
///
/// # Errors
/// One of them can't be read or is malformed, the key is too small, or it isn't the certificate's.
pub fn open_signer(
    key: &Path,
    certificates: &Path,
    passphrase: impl FnOnce() -> Option<String>,
) -> Result<Signer> {
    let named = |path: &Path| {
        let path = path.display().to_string();
        move |error: ovf::Error| Error::Ovf(error.in_member(path))
    };
    let pem = read_bounded(key, MAX_PEM_BYTES)?;
    let opened = match SigningKey::from_pem(&pem, None) {
        Err(error) if error.kind() == ovf::Kind::KeyPassphrase => match passphrase() {
            Some(passphrase) => SigningKey::from_pem(&pem, Some(passphrase.as_bytes())),
            None => Err(error),
        },
        outcome => outcome,
    };
    let chain = Certificate::all_from_pem(&read_bounded(certificates, MAX_PEM_BYTES)?)
        .map_err(named(certificates))?;
    Signer::new(opened.map_err(named(key))?, chain).map_err(named(certificates))
}
