//! A way to a syslog server that is open.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::collector::{Collector, Transport};
use crate::error::{Error, Kind, Result};
use crate::resolver::Resolver;

/// How long a server may take nothing.
const PATIENCE: Duration = Duration::from_secs(15);

/// An open way.
pub(super) enum Link {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Link {
    /// Opens one.
    ///
    /// # Errors
    /// [`Kind::Unreachable`], and as [`crate::endpoint::Endpoint::resolve`].
    pub(super) async fn open(to: &Collector, resolver: &Resolver) -> Result<Self> {
        let failed = |reason: &str| Error::new(Kind::Unreachable, to.to_string(), reason);
        let open = async {
            match to.transport {
                Transport::Tcp => {
                    let stream = to.endpoint.connect(resolver).await?;
                    // A server that is gone without a word is noticed, though nothing is ever heard of one that is there.
                    let limit = u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX);
                    set_tcp_user_timeout(&stream, limit)
                        .map_err(|error| failed("the connection is refused its limit").because(error))?;
                    Ok(Self::Tcp(stream))
                }
                Transport::Udp => {
                    let addresses = to.endpoint.resolve(resolver).await?;
                    let first = addresses.first().ok_or_else(|| failed("it has no address"))?;
                    let any: SocketAddr = match first {
                        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
                        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
                    };
                    let unusable = |error| failed("it can't be reached").because(error);
                    let socket = UdpSocket::bind(any).await.map_err(unusable)?;
                    socket.connect(first).await.map_err(unusable)?;
                    Ok(Self::Udp(socket))
                }
            }
        };
        timeout(PATIENCE, open)
            .await
            .unwrap_or_else(|_| Err(failed("it doesn't answer")))
    }

    /// Sends a message; whether it arrived nobody tells.
    pub(super) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(message).await.map(drop),
            Self::Tcp(stream) => {
                let mut frame = format!("{} ", message.len()).into_bytes();
                frame.extend_from_slice(message);
                match timeout(PATIENCE, stream.write_all(&frame)).await {
                    Ok(sent) => sent,
                    Err(_) => Err(io::ErrorKind::TimedOut.into()),
                }
            }
        }
    }

    /// Waits until the server closes it. What a server says is not heard: there is nothing for it to say.
    pub(super) async fn closed(&self) -> io::Error {
        let Self::Tcp(stream) = self else {
            return std::future::pending().await;
        };
        let mut heard = [0; 1024];
        loop {
            if let Err(error) = stream.readable().await {
                return error;
            }
            match stream.try_read(&mut heard) {
                Ok(0) => return io::ErrorKind::ConnectionReset.into(),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return error,
            }
        }
    }
}
