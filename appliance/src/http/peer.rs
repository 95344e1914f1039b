//! Which node is at the other end of a connection, by the certificate that it showed there.

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use uuid::Uuid;

use crate::authority::node_of;

/// A node that showed a certificate of our authority. Whether it is still one of ours is asked at each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The node.
    pub node: Uuid,
    /// The certificate's number.
    pub serial: String,
}

impl Peer {
    /// The node at the other end, if there is one.
    pub fn of(stream: &TlsStream<TcpStream>) -> Option<Self> {
        let (_, connection) = stream.get_ref();
        let (node, serial) = node_of(connection.peer_certificates()?.first()?)?;
        Some(Self { node, serial })
    }
}
