//! Who is at the other end of a connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::authority::NodeCertificate;

/// Where a connection comes from, and who it says it is.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The certificate of our authority that was shown, by a node. Whether it is still one of ours is asked at each request.
    pub certificate: Option<NodeCertificate>,
    /// Whether the node was let in before over this connection.
    pub was_let_in: Arc<AtomicBool>,
}

impl Peer {
    /// The one at the other end.
    pub fn of(stream: &TlsStream<TcpStream>, address: IpAddr) -> Self {
        let (_, connection) = stream.get_ref();
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        Self {
            address,
            certificate: shown.and_then(NodeCertificate::read),
            was_let_in: Arc::default(),
        }
    }
}
