//! Who is at the other end of a connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio_rustls::server::TlsStream;

use super::wire::Stream;
use crate::authority::{KeyDigest, NodeCertificate};

/// Where a connection comes from, and who it says it is.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The certificate of our authority that was shown, by a node. Whether it is still one of ours is asked at each request.
    pub certificate: Option<NodeCertificate>,
    /// On a node: the key that vouches for the certificate. Whether it is still one of the server's is asked likewise.
    pub authority: Option<KeyDigest>,
    /// Whether the node was let in before over this connection.
    pub was_let_in: Arc<AtomicBool>,
}

impl Peer {
    /// The one at the other end.
    pub fn of(stream: &TlsStream<Stream>, address: IpAddr) -> Self {
        let (_, connection) = stream.get_ref();
        let shown = connection.peer_certificates().unwrap_or_default();
        Self {
            address,
            certificate: shown.first().and_then(NodeCertificate::read),
            // Nodes take two certificates, of which the second is that of the first one's authority.
            authority: shown.get(1).and_then(KeyDigest::of_certificate),
            was_let_in: Arc::default(),
        }
    }
}
