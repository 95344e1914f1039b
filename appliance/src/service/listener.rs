//! The address to serve on.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

use crate::error::{Error, Kind, Result};

/// Connections that the kernel keeps ready while the service is busy: a thousand nodes come back at once.
const BACKLOG: i32 = 4096;

/// An IP address and port to listen on. `[::]` takes IPv4 too, and stands for `0.0.0.0` on a kernel without IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen(SocketAddr);

/// A socket that listens.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// With the port that was really taken.
    pub(super) address: SocketAddr,
}

impl Listen {
    /// Binds and listens.
    pub(super) fn bind(self) -> Result<Listener> {
        let failed = |e| Error::new(Kind::Listen, self.to_string(), "cannot listen").because(e);
        let socket = open(self.0).or_else(|e| match self.without_ipv6(&e) {
            Some(address) => open(address),
            None => Err(e),
        });
        let socket = socket.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Listener { socket, address })
    }

    fn without_ipv6(self, error: &std::io::Error) -> Option<SocketAddr> {
        let unsupported = error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
        let any = self.0.ip() == Ipv6Addr::UNSPECIFIED;
        (unsupported && any).then(|| (Ipv4Addr::UNSPECIFIED, self.0.port()).into())
    }
}

fn open(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // A restarted service must not wait for connections of the one before it to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

impl FromStr for Listen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text
            .parse()
            .map_err(|_| "an address to listen on is IP:PORT, such as 127.0.0.1:8443 or [::]:443")?;
        Ok(Self(address))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
