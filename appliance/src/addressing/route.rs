//! A way to a network that is not the way out.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::cidr::{self, Cidr};

/// A route, such as `198.51.100.0/24 via 192.0.2.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticRoute {
    /// The network, with no bit set after its prefix.
    pub to: Cidr,
    /// Who knows the way, of the same IP version.
    pub via: IpAddr,
}

impl FromStr for StaticRoute {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a route has the form 198.51.100.0/24 via 192.0.2.2";
        let mut words = text.split_ascii_whitespace();
        let (Some(to), Some("via"), Some(via), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(FORM);
        };
        let (address, prefix) = cidr::split(to).ok_or(FORM)?;
        let via: IpAddr = via.parse().map_err(|_| FORM)?;
        let rest = match address {
            IpAddr::V4(address) => u32::from(address).checked_shl(prefix.into()).map(u128::from),
            IpAddr::V6(address) => u128::from(address).checked_shl(prefix.into()),
        };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        match rest {
            _ if prefix == 0 => Err("the way to everything is the gateway's property"),
            _ if prefix > longest => Err("the network's prefix is too long"),
            // A whole address as the network is a host's, and has nothing after its prefix.
            Some(1..) => Err("the network's address has bits after its prefix"),
            _ if address.is_multicast() || address.is_loopback() => Err("no route leads to such addresses"),
            _ if address.is_ipv4() != via.is_ipv4() => {
                Err("the network and who knows the way are of two IP versions")
            }
            _ if !cidr::is_host(via) => Err("who knows the way has no host's address"),
            _ => {
                let to = Cidr { address, prefix };
                Ok(Self { to, via })
            }
        }
    }
}

impl fmt::Display for StaticRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} via {}", self.to, self.via)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_cannot_be_is_refused() {
        for text in [
            "",
            "198.51.100.0/24",
            "198.51.100.0/24 via",
            "198.51.100.0/24 dev 192.0.2.2",
            "198.51.100.0/24 via 192.0.2.2 metric 1",
            "198.51.100.0 via 192.0.2.2",
            "198.51.100.1/24 via 192.0.2.2",
            "198.51.100.0/33 via 192.0.2.2",
            "198.51.100.0/255 via 192.0.2.2",
            "0.0.0.0/0 via 192.0.2.2",
            "2001:db8::/32 via 192.0.2.2",
            "2001:db8::1/32 via fe80::1",
            "127.0.0.0/8 via 192.0.2.2",
            "198.51.100.0/24 via 0.0.0.0",
        ] {
            assert!(text.parse::<StaticRoute>().is_err(), "{text}");
        }
    }

    #[test]
    fn networks_and_single_hosts_have_routes() {
        for text in [
            "198.51.100.0/24 via 192.0.2.2",
            "198.51.100.7/32 via 192.0.2.2",
            "2001:db8::/32 via fe80::1",
            "2001:db8::1/128 via fe80::1",
        ] {
            assert_eq!(text.parse::<StaticRoute>().unwrap().to_string(), text);
        }
    }
}
