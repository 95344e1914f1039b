//! How an appliance is reached: the addresses that people chose, the routes, and what carries them. Given by
//! properties, or kept on the state disk ([`kept`]), under the same names and read by the same rules.

mod cidr;
pub mod kept;
mod link;
mod route;

use std::net::IpAddr;

use crate::property::Reader;

pub use cidr::Cidr;
pub use link::{Mtu, Vlan};
pub use route::StaticRoute;

/// More name or time servers than this are of no use to anybody.
pub const MOST_SERVERS: usize = 8;
const MOST_ROUTES: usize = 32;

/// What the first interface has; all others ask DHCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressing {
    /// The IPv4 address is asked of a DHCP server.
    pub dhcp: bool,
    /// `ip`, `gateway`.
    pub ipv4: Option<StaticAddress>,
    /// `ip6`, `gateway6`; what routers announce comes beside it.
    pub ipv6: Option<StaticAddress>,
    /// `dns`.
    pub name_servers: Vec<IpAddr>,
    /// `routes`.
    pub routes: Vec<StaticRoute>,
    /// `mtu`; none leaves the driver's.
    pub mtu: Option<Mtu>,
    /// `vlan`: addresses and routes are those of this network, not of the untagged one.
    pub vlan: Option<Vlan>,
}

/// An address that a person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticAddress {
    /// The address and its network.
    pub cidr: Cidr,
    /// The way out.
    pub gateway: Option<IpAddr>,
}

impl Default for Addressing {
    fn default() -> Self {
        Self {
            dhcp: true,
            ipv4: None,
            ipv6: None,
            name_servers: Vec::new(),
            routes: Vec::new(),
            mtu: None,
            vlan: None,
        }
    }
}

impl Addressing {
    /// Takes the values. Without an IPv4 address one is asked for.
    pub fn read(reader: &mut Reader) -> Self {
        let ipv4 = address(reader, ["ip", "gateway"], IpAddr::is_ipv4);
        let ipv6 = address(reader, ["ip6", "gateway6"], IpAddr::is_ipv6);
        Self {
            dhcp: ipv4.is_none(),
            ipv4,
            ipv6,
            name_servers: reader.list("dns", &[',', ' ', ';'], MOST_SERVERS, |word| {
                word.parse::<IpAddr>().map_err(|error| error.to_string())
            }),
            routes: reader.list("routes", &[',', ';'], MOST_ROUTES, |word| {
                word.parse::<StaticRoute>().map_err(str::to_owned)
            }),
            mtu: reader.parsed("mtu"),
            vlan: reader.parsed("vlan"),
        }
    }

    /// Nothing but DHCP: what can be done before it is known for certain, because it does no harm.
    pub fn is_harmless(&self) -> bool {
        let harmless = Self {
            name_servers: self.name_servers.clone(),
            ..Self::default()
        };
        *self == harmless
    }

    /// What the first interface is given.
    pub fn fixed(&self) -> impl Iterator<Item = StaticAddress> {
        [self.ipv4, self.ipv6].into_iter().flatten()
    }
}

fn address(
    reader: &mut Reader,
    [key, gateway_key]: [&str; 2],
    is_version: fn(&IpAddr) -> bool,
) -> Option<StaticAddress> {
    const OTHER: &str = "it is of the other IP version";
    let cidr: Option<Cidr> = reader.parsed(key);
    let gateway: Option<IpAddr> = reader.parsed(gateway_key);
    if cidr.is_some_and(|cidr| !is_version(&cidr.address)) {
        reader.problem(key, OTHER);
        return None;
    }
    let gateway = gateway.filter(|gateway| {
        let reason = if !is_version(gateway) {
            OTHER
        } else if !cidr::is_host(*gateway) || cidr.is_some_and(|cidr| cidr.address == *gateway) {
            "it is no other host's address"
        } else {
            return true;
        };
        reader.problem(gateway_key, reason);
        false
    });
    cidr.map(|cidr| StaticAddress { cidr, gateway })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(properties: &[(&str, &'static str)]) -> (Addressing, Vec<String>) {
        let property = |key: &str| {
            let found = properties.iter().find(|(own, _)| *own == key);
            found.map(|&(_, value)| value.into())
        };
        let mut reader = Reader::new(&property);
        (Addressing::read(&mut reader), reader.finish())
    }

    #[test]
    fn all_that_an_interface_can_have_is_taken() {
        let (addressing, problems) = read(&[
            ("ip", "192.0.2.5/24"),
            ("gateway", "192.0.2.1"),
            ("ip6", "2001:db8::5/64"),
            ("gateway6", "fe80::1"),
            ("dns", "192.0.2.2, 2001:db8::1"),
            (
                "routes",
                "198.51.100.0/24 via 192.0.2.2, 2001:db8:1::/48  via fe80::2",
            ),
            ("mtu", "1400"),
            ("vlan", "7"),
        ]);
        assert_eq!(problems, Vec::<String>::new());
        assert!(!addressing.dhcp && !addressing.is_harmless());
        let addresses: Vec<_> = addressing
            .fixed()
            .map(|fixed| (fixed.cidr.to_string(), fixed.gateway.map(|g| g.to_string())))
            .collect();
        assert_eq!(
            addresses,
            [
                ("192.0.2.5/24".to_owned(), Some("192.0.2.1".to_owned())),
                ("2001:db8::5/64".to_owned(), Some("fe80::1".to_owned())),
            ]
        );
        assert_eq!(addressing.routes[1].to_string(), "2001:db8:1::/48 via fe80::2");
        assert_eq!(addressing.mtu.map(Mtu::get), Some(1400));
        assert_eq!(addressing.vlan.map(Vlan::get), Some(7));
    }

    #[test]
    fn an_ipv6_address_alone_leaves_ipv4_to_dhcp() {
        let (addressing, problems) = read(&[("ip6", "2001:db8::5/64")]);
        assert!(addressing.dhcp && problems.is_empty() && !addressing.is_harmless());
        assert!(Addressing::default().is_harmless());
    }

    #[test]
    fn each_wrong_value_is_named_and_counts_as_none() {
        let (addressing, problems) = read(&[
            ("ip", "2001:db8::5/64"),
            ("gateway", "x"),
            ("ip6", "2001:db8::5/64"),
            ("gateway6", "2001:db8::5"),
            ("routes", "0.0.0.0/0 via 192.0.2.1"),
            ("mtu", "1279"),
            ("vlan", "4095"),
        ]);
        let keys: Vec<_> = problems.iter().filter_map(|p| p.split(':').next()).collect();
        assert_eq!(keys, ["gateway", "ip", "gateway6", "routes", "mtu", "vlan"]);
        assert_eq!((addressing.ipv4, addressing.routes.len()), (None, 0));
        assert_eq!(addressing.ipv6.map(|address| address.gateway), Some(None));
    }
}
