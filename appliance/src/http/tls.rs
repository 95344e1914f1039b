//! The server's side of TLS: version 1.3 alone, with the connector's own certificate.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use tokio_rustls::TlsAcceptor;

use crate::error::{Error, Kind, Result};
use crate::identity::Identity;

/// An acceptor that shows `identity`'s certificate.
///
/// # Errors
/// [`Kind::Tls`].
pub fn acceptor(identity: &Identity) -> Result<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|e| Error::new(Kind::Tls, "TLS", "version 1.3 is not available").because(e))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(
            identity.certified_key().as_ref().clone(),
        )));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A session kept for resumption costs memory that clients decide about; a full handshake costs a millisecond.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
