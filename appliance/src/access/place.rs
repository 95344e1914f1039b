//! Where somebody is, as far as limits go by it.

use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address, or the network of an IPv6 one: whoever has one of those has the 64 bits after its network for the taking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place(Option<IpAddr>);

impl Place {
    /// Where an address is; what has none is in one place.
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        let network = |address| match address {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
            v4 @ IpAddr::V4(_) => v4,
        };
        Self(address.map(|address| network(address.to_canonical())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_network_is_one_place() {
        let place = |text: &str| Place::of(text.parse().ok());
        assert_eq!(place("2001:db8::1"), place("2001:db8::ffff:2"));
        assert_ne!(place("2001:db8::1"), place("2001:db8:0:1::1"));
        assert_eq!(place("192.0.2.1"), place("::ffff:192.0.2.1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
    }
}
