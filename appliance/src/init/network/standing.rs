//! How the network stands: what others ask about it.

use std::net::IpAddr;

use super::link::{Link, Method};
use super::{Network, Place, interface};
use crate::check::{Check, NETWORK};
use crate::init::dhcp::lease::Lease;

const UNPLUGGED: &str = "Connect the network adapter in the virtualisation platform.";
const REMEDY: &str = "Connect the network adapter to a network with a DHCP server, or set the property ip.";

impl Network {
    /// Addresses to be reached at, in the order of the interfaces, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<_> = self.links.values().flat_map(Link::addresses).collect();
        for (index, address) in interface::announced() {
            let address = IpAddr::V6(address);
            let has =
                |(place, link): (&Place, &Link)| place.index == index || link.working_index(place) == index;
            if self.links.iter().any(has) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Name servers that DHCP named.
    pub fn name_servers(&self) -> Vec<IpAddr> {
        self.leases()
            .flat_map(|lease| lease.name_servers.iter().copied().map(IpAddr::from))
            .collect()
    }

    /// Time servers that DHCP named.
    pub fn ntp_servers(&self) -> Vec<IpAddr> {
        self.leases()
            .flat_map(|lease| lease.ntp_servers.iter().copied().map(IpAddr::from))
            .collect()
    }

    fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.links.values().filter_map(|link| match &link.method {
            Method::Dhcp { lease, .. } => lease.as_ref(),
            _ => None,
        })
    }

    /// The check `network`.
    pub fn check(&self) -> Check {
        if let Some(problem) = self.kernel.problem() {
            return Check::fail(NETWORK, problem, REMEDY);
        }
        if self.links.is_empty() {
            return Check::fail(
                NETWORK,
                "there is no network interface that a driver fits",
                "Give the virtual machine a network adapter of a supported type and restart.",
            );
        }
        let (plugged, unplugged): (Vec<_>, Vec<_>) = self
            .links
            .values()
            .filter(|link| !link.addresses().is_empty())
            .partition(|link| link.carrier);
        if let Some(link) = unplugged.first() {
            let reason = format!("{} has an address and no cable", link.name);
            return match plugged.is_empty() {
                true => Check::fail(NETWORK, reason, UNPLUGGED),
                false => Check::warn(NETWORK, reason, UNPLUGGED),
            };
        }
        let addresses = self.addresses();
        if !addresses.is_empty() {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            return Check::pass(NETWORK, addresses.join(", "));
        }
        let waits: Vec<_> = self.links.values().map(Link::waits_for).collect();
        Check::fail(NETWORK, waits.join("; "), REMEDY)
    }
}
