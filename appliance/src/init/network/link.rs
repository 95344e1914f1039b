//! One Ethernet interface, and how it comes to its addresses.

use std::net::IpAddr;

use super::interface::Place;
use crate::hostname::Hostname;
use crate::init::dhcp::{self, lease::Lease};
use crate::init::netlink::Request;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    pub(super) hardware: [u8; 6],
    pub(super) carrier: bool,
    /// Of its routes; given in the order of places when the plan is known, and kept.
    pub(super) metric: Option<u32>,
    pub(super) method: Method,
    /// The interface that has its addresses, where that is not itself.
    pub(super) vlan: Option<Tagged>,
    /// The addresses that people chose.
    pub(super) fixed: Vec<IpAddr>,
    /// Takes back what was done for the plan, in the order in which it was done.
    pub(super) undo: Vec<Request>,
}

#[derive(Debug)]
pub(super) struct Tagged {
    pub(super) name: String,
    pub(super) index: u32,
}

#[derive(Debug)]
pub(super) enum Method {
    /// Not known yet.
    Undecided,
    /// Waits for its cable.
    Waiting,
    /// Has what people chose, and needs no more.
    Fixed,
    /// Asks a server.
    Dhcp {
        client: dhcp::Handle,
        /// The name that the server is told.
        hostname: Hostname,
        lease: Option<Lease>,
    },
    /// Nothing can be done with it.
    Broken,
}

impl Link {
    /// IPv4 first.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = self.fixed.clone();
        if let Method::Dhcp {
            lease: Some(lease), ..
        } = &self.method
        {
            addresses.push(lease.address.into());
        }
        addresses.sort_by_key(IpAddr::is_ipv6);
        addresses
    }

    /// The interface that has the addresses.
    pub(super) fn working_name(&self) -> &str {
        self.vlan.as_ref().map_or(&self.name, |vlan| &vlan.name)
    }

    pub(super) fn working_index(&self, place: &Place) -> u32 {
        self.vlan.as_ref().map_or(place.index, |vlan| vlan.index)
    }

    pub(super) fn waits_for(&self) -> String {
        let name = &self.name;
        match self.method {
            Method::Broken => format!("{name} cannot be used"),
            Method::Undecided => format!("{name} waits for the environment"),
            _ if !self.carrier => format!("{name} is not connected"),
            _ => format!("{name} has no answer from a DHCP server"),
        }
    }
}
