//! Whom to believe: issuers from a file, or a certificate that a person has compared.

use std::path::Path;

use super::failure::{Failure, Result};
use super::session::KnownBy;
use super::terminal;
use crate::client::meet;
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind};
use crate::file;
use crate::resolver::Resolver;

/// The longest file of issuers in bytes.
const LIMIT: usize = 256 << 10;

/// The issuers in a file.
pub(super) fn issuers(path: &Path) -> Result<KnownBy> {
    let wrong = |reason: &str| Error::new(Kind::Malformed, path.display().to_string(), reason);
    let pem = String::from_utf8(file::read(path, LIMIT)?).map_err(|_| wrong("is not PEM"))?;
    let known_by = KnownBy::Issuers(pem);
    known_by
        .trust()
        .map_err(|error| wrong("has no usable certificates in PEM").because(error))?;
    Ok(known_by)
}

/// The certificate that is shown there, once somebody at the terminal has compared it.
pub(super) async fn compared(server: &Endpoint) -> Result<KnownBy> {
    const INSTEAD: &str = "--fingerprint or --ca-file says whom to trust";
    terminal::required("whether the connector is to be trusted", INSTEAD)?;
    let met = meet(server, &Resolver::default()).await?;
    let question = format!(
        "The certificate of {server} has the SHA-256 fingerprint\n  {met}\n\
         The connector's console shows the same one, or somebody is in between. Is it the same?"
    );
    match terminal::confirm(&question, INSTEAD)? {
        true => Ok(KnownBy::Fingerprint(met.to_string())),
        false => Err(Failure::refused(
            server.to_string(),
            "its certificate is not trusted",
            "the console or the log of the connector shows its fingerprint",
        )),
    }
}
