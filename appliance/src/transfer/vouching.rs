//! Whether a receipt is the destination's, for this transfer and this grant.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{Purpose, Receipt, Row, Signed};
use crate::authority::{Keys, NodeCertificate};
use crate::clock::Moment;

/// The rule that a receipt breaks which is not as it has to be.
pub(super) const WRONG: &str = "receipt.wrong";

/// Reads a receipt for a transfer.
///
/// # Errors
/// Why it is none.
pub(super) fn check(row: &Row, signed: &Signed, keys: &Keys, now: Moment) -> Result<Receipt, String> {
    let unread = |error: crate::error::Error| error.chain().to_string();
    let (grant, found) = row
        .grant
        .as_ref()
        .zip(row.found.as_ref())
        .ok_or("nothing was granted")?;
    let certificate = signed.certificate(Purpose::Receipt).map_err(unread)?;
    let signer = signer(&certificate, keys, now)?;
    let receipt: Receipt = signed.read(Purpose::Receipt).map_err(unread)?;
    let destination = &row.wish.destination;
    let is_of = |id: String| id == destination.node;
    match () {
        () if !is_of(signer.node.to_string()) => Err("it is signed by another node".to_owned()),
        () if !is_of(receipt.node.to_string()) => Err("it names another node".to_owned()),
        () if receipt.transfer.to_string() != row.id => Err("it is for another transfer".to_owned()),
        () if receipt.grant != grant.digest(Purpose::Grant).map_err(unread)? => {
            Err("it is for another grant".to_owned())
        }
        () if receipt.digest != found.digest || receipt.label != found.label.as_str() => {
            Err("it is for another version".to_owned())
        }
        () if receipt.place != destination.place => Err("it is for another place".to_owned()),
        () => Ok(receipt),
    }
}

/// What a certificate says, if our authority made it, also with its key of before, and it is good now.
fn signer(certificate: &CertificateDer<'_>, keys: &Keys, now: Moment) -> Result<NodeCertificate, String> {
    const STRANGER: &str = "its signer's certificate is not of this server's authority";
    let mut roots = RootCertStore::empty();
    let former = keys.former.as_ref().map(|(_, certificate)| certificate);
    for root in former.into_iter().chain([keys.current.certificate()]) {
        roots.add(root.clone()).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| error.to_string())?;
    let now = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
    verifier
        .verify_client_cert(certificate, &[], UnixTime::since_unix_epoch(now))
        .map_err(|error| format!("{STRANGER}: {error}"))?;
    NodeCertificate::read(certificate).ok_or_else(|| STRANGER.to_owned())
}
