//! Where another machine is reached: a host and a port, as people write them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::{Error, Kind, Result};
use crate::hostname::is_label;
use crate::resolver::Resolver;

const HTTPS: u16 = 443;
/// RFC 1035 section 2.3.4, as text without the root's dot.
const LONGEST_NAME: usize = 253;
/// How long one address may take while there is another.
const TRY: Duration = Duration::from_secs(3);
const FORM: &str = "a server is NAME[:PORT], IPV4[:PORT] or [IPV6][:PORT]";

/// A host and a port: `node.example.com`, `192.0.2.5:8443`, `[2001:db8::1]:443`. The port is written always, so that what was
/// kept means the same under another default.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    host: Host,
    port: u16,
}

/// A name or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// Asked for at name servers.
    Name(DomainName),
    /// Used as it is.
    Address(IpAddr),
}

/// A name after RFC 1123 section 2.1 in lower case, without the dot at its end: at most 253 bytes of ASCII, labels of 1 to 63
/// letters, digits and inner hyphens. Names in other scripts are written in their ASCII form (`xn--`). The last label is not
/// all digits, so that no mistyped address is asked for as a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DomainName(String);

impl Endpoint {
    /// Reads one whose port is `default` where it has none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, default: u16) -> Result<Self, &'static str> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']').ok_or(FORM)?;
                let address: Ipv6Addr = address.parse().map_err(|_| FORM)?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or(FORM)?),
                };
                (Host::Address(address.into()), port)
            }
            None => match text.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err("an IPv6 address is written in brackets, such as [2001:db8::1]:443");
                }
                Some((host, port)) => (host.parse()?, Some(port)),
                None => (text.parse()?, None),
            },
        };
        let port = port.map_or(Ok(default), parse_port)?;
        Ok(Self { host, port })
    }

    /// Its host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its addresses in the order to try: IPv6 and IPv4 in turn, those without a route last.
    ///
    /// # Errors
    /// As [`Resolver::addresses`].
    pub async fn resolve(&self, resolver: &Resolver) -> Result<Vec<SocketAddr>> {
        let mut addresses: Vec<_> = match &self.host {
            Host::Address(address) => vec![SocketAddr::new(*address, self.port)],
            Host::Name(name) => {
                let found = resolver.addresses(name).await?;
                in_turn(&found)
                    .map(|address| SocketAddr::new(address, self.port))
                    .collect()
            }
        };
        addresses.sort_by_key(|&address| !has_route(address));
        Ok(addresses)
    }

    /// Connects to the first address that takes the connection, each tried for three seconds, and the last for as long as
    /// the system does.
    ///
    /// # Errors
    /// As [`Endpoint::resolve`]; [`Kind::Unreachable`] with what the last address said.
    pub async fn connect(&self, resolver: &Resolver) -> Result<TcpStream> {
        let failed = |reason| Error::new(Kind::Unreachable, self.to_string(), reason);
        let addresses = self.resolve(resolver).await?;
        let Some((last, others)) = addresses.split_last() else {
            return Err(failed("it has no address"));
        };
        for address in others {
            if let Ok(Ok(stream)) = timeout(TRY, TcpStream::connect(address)).await {
                return Ok(stream);
            }
        }
        let connected = TcpStream::connect(last).await;
        connected.map_err(|error| failed("it can't be reached").because(error))
    }
}

/// IPv6 and IPv4 in turn (RFC 8305 section 4), so that a family that leads nowhere costs one time-out only.
fn in_turn(found: &[IpAddr]) -> impl Iterator<Item = IpAddr> {
    let of = |is_ipv6: bool| found.iter().filter(move |address| address.is_ipv6() == is_ipv6);
    let (mut v6, mut v4) = (of(true), of(false));
    let mut ipv6_next = false;
    std::iter::from_fn(move || {
        ipv6_next = !ipv6_next;
        match ipv6_next {
            true => v6.next().or_else(|| v4.next()),
            false => v4.next().or_else(|| v6.next()),
        }
        .copied()
    })
}

/// Whether the kernel knows a way there; connecting a UDP socket sends nothing.
fn has_route(address: SocketAddr) -> bool {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    std::net::UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect(address).is_ok())
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    const RANGE: &str = "a port is a number from 1 to 65535";
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_number).ok_or(RANGE)
}

impl DomainName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DomainName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST_NAME {
            return Err("the name is longer than 253 characters");
        }
        if !text.split('.').all(is_label) {
            return Err("the name is not made of letters, digits and inner hyphens between dots");
        }
        let last = text.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("it is neither an IPv4 address nor a name: a name does not end in a number");
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl FromStr for Host {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(IpAddr::V4(address))),
            Err(_) => text.parse().map(Self::Name),
        }
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    /// With port 443 where it has none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, HTTPS)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: Host::Address(address.ip()),
            port: address.port(),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_reads_as_it_is_written() {
        for (text, shown) in [
            ("node.example.com", "node.example.com:443"),
            ("Node.Example.COM:8443", "node.example.com:8443"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example:443"),
            ("192.0.2.5", "192.0.2.5:443"),
            ("192.0.2.5:8443", "192.0.2.5:8443"),
            ("[2001:db8::1]", "[2001:db8::1]:443"),
            ("[2001:DB8::1]:1", "[2001:db8::1]:1"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), shown);
            let json = serde_json::to_string(&endpoint).unwrap();
            assert_eq!(json, format!("{shown:?}"));
            assert_eq!(serde_json::from_str::<Endpoint>(&json).unwrap(), endpoint);
        }
        let time: Endpoint = Endpoint::parse("ntp.example.com", 123).unwrap();
        assert_eq!(time.to_string(), "ntp.example.com:123");
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = "abc.".repeat(64) + "de";
        for text in [
            "",
            ":443",
            "host:",
            "host:0",
            "host:65536",
            "host:+443",
            "host:0443",
            "host: 443",
            "2001:db8::1",
            "::1:443",
            "[192.0.2.5]:443",
            "[fe80::1%eth0]:443",
            "[::1",
            "[::1]443",
            "256.0.0.1",
            "192.0.2",
            "1",
            "0x7f.1",
            "a..b",
            "host.",
            "-a",
            "a_b",
            "bücher.example",
            "https://host",
            "user@host",
            "host\n",
            &long,
            &longer,
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn families_take_turns() {
        let found = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(|text| text.parse().unwrap());
        let order: Vec<_> = in_turn(&found).map(|address| address.to_string()).collect();
        assert_eq!(order, ["2001:db8::1", "192.0.2.1", "192.0.2.2"]);
    }

    #[tokio::test]
    async fn an_address_that_refuses_leads_to_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // The listener has 127.0.0.1 alone, and the name the other loopback address first.
        let hosts = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&hosts, "127.0.0.2 two.example\n127.0.0.1 two.example\n").unwrap();
        let resolver = Resolver::of_files(hosts.path(), std::path::Path::new("/dev/null"));
        let endpoint = Endpoint::parse("two.example", port).unwrap();
        let addresses = endpoint.resolve(&resolver).await.unwrap();
        assert_eq!(addresses.len(), 2);
        let stream = endpoint.connect(&resolver).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
    }
}
