use std::path::Path;
use std::time::Duration;

use ovf::certificate::{Certificate, Signer, SigningKey};

use super::command::SignCommand;
use crate::error::{Error, Result};
use crate::input::read_bounded;

const MAX_PEM_BYTES: u64 = 1 << 20;

/// Reads an RSA key and its certificate chain, the signer's own first; `passphrase` is asked only for an encrypted key.
///
/// # Errors
/// One of them can't be read or is malformed, the key is too small, or it isn't the certificate's; those of `passphrase`.
pub fn open_signer(
    key: &Path,
    certificates: &Path,
    passphrase: impl FnOnce() -> Result<Option<String>>,
) -> Result<Signer> {
    let pem = read_bounded(key, MAX_PEM_BYTES)?;
    let opened = match SigningKey::from_pem(&pem, None) {
        Err(error) if error.kind() == ovf::Kind::KeyPassphrase => match passphrase()? {
            Some(passphrase) => SigningKey::from_pem(&pem, Some(passphrase.as_bytes())),
            None => Err(error),
        },
        outcome => outcome,
    };
    let opened = opened.map_err(of_file(key))?;
    Signer::new(opened, read_chain(certificates)?).map_err(of_file(certificates))
}

/// A signer whose key a command has; see [`SignCommand`].
///
/// # Errors
/// The certificates can't be read, don't belong together, or may not sign packages.
pub fn command_signer(command: &str, timeout: Duration, certificates: &Path) -> Result<Signer> {
    let device = SignCommand::new(command, timeout);
    Signer::with_device(Box::new(device), read_chain(certificates)?).map_err(of_file(certificates))
}

fn read_chain(path: &Path) -> Result<Vec<Certificate>> {
    Certificate::all_from_pem(&read_bounded(path, MAX_PEM_BYTES)?).map_err(of_file(path))
}

fn of_file(path: &Path) -> impl FnOnce(ovf::Error) -> Error {
    let path = path.display().to_string();
    move |error| Error::Ovf(error.in_member(path))
}
