//! An address with its network.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address with the length of its network's prefix, such as `192.0.2.5/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// The prefix's bits.
    pub prefix: u8,
}

impl FromStr for Cidr {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) =
            split(text).ok_or("an address has the form 192.0.2.5/24 or 2001:db8::5/64")?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        if !(1..=longest).contains(&prefix) {
            return Err("the network's prefix is too long or none");
        }
        if !is_host(address) {
            return Err("it is no host's address");
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The two halves of `ADDRESS/PREFIX`.
pub(super) fn split(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    Some((address.parse().ok()?, prefix.parse().ok()?))
}

/// One host can have it.
pub(super) fn is_host(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_no_host_can_have_are_refused() {
        for text in [
            "0.0.0.0/8",
            "224.0.0.1/4",
            "127.0.0.1/8",
            "255.255.255.255/32",
            "10.0.0.1/33",
            "10.0.0.1/0",
            "10.0.0.1",
            "::/64",
        ] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
        assert!("2001:db8::5/64".parse::<Cidr>().is_ok());
    }
}
