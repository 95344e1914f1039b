//! Addresses and routes that an interface is given, and how they are taken back.

use std::net::IpAddr;

use super::link::Tagged;
use super::{FIRST_METRIC, Network, Place, interface};
use crate::addressing::{Addressing, Cidr, Mtu, Vlan};
use crate::init::dhcp::lease::Lease;
use crate::init::modules;
use crate::init::netlink::{self, Request, Way};
use crate::log;

const VLAN_MODULE: &str = "8021q";

impl Network {
    /// Takes back what was done to the first interface, as far as the kernel still has it.
    pub(super) fn undo(&mut self, place: &Place) {
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        for address in link.fixed.drain(..) {
            log::info(format_args!("network interface={} lost={address}", link.name));
        }
        link.vlan = None;
        self.kernel.forget_all_but(|interface| interface != place.index);
        for request in std::mem::take(&mut link.undo).iter().rev() {
            self.kernel.take_back(request);
        }
    }

    /// Gives the first interface what people chose. False if there is nothing that an address could be given to.
    pub(super) fn give(&mut self, place: &Place, addressing: &Addressing) -> bool {
        if let Some(mtu) = addressing.mtu {
            self.set_mtu(place, mtu);
        }
        if let Some(vlan) = addressing.vlan
            && !self.add_vlan(place, vlan)
        {
            return false;
        }
        for fixed in addressing.fixed() {
            let cidr = fixed.cidr;
            if let Some(link) = self.links.get_mut(place) {
                link.fixed.push(cidr.address);
                log::info(format_args!(
                    "network interface={} address={cidr}",
                    link.working_name()
                ));
            }
            self.apply(place, (cidr.address, cidr.prefix), fixed.gateway);
        }
        if addressing.ipv4.is_some() {
            self.apply_routes(place, IpAddr::is_ipv4);
        }
        self.apply_routes(place, IpAddr::is_ipv6);
        true
    }

    fn set_mtu(&mut self, place: &Place, mtu: Mtu) {
        let interface = place.index;
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        let before = interface::mtu(&link.name);
        link.undo
            .extend(before.map(|mtu| Request::SetMtu { interface, mtu }));
        self.kernel.make(place.index, Request::SetMtu { interface, mtu });
    }

    fn add_vlan(&mut self, place: &Place, vlan: Vlan) -> bool {
        modules::load(VLAN_MODULE);
        let interface = place.index;
        let made = self
            .kernel
            .make(place.index, Request::AddVlan { interface, vlan });
        let name = netlink::vlan_name(vlan);
        let Some(index) = interface::index(&name).filter(|_| made) else {
            return false;
        };
        if let Some(link) = self.links.get_mut(place) {
            link.undo.push(Request::RemoveLink { interface: index });
            link.vlan = Some(Tagged { name, index });
        }
        true
    }

    /// Adds an address and its way out.
    pub(super) fn apply(&mut self, place: &Place, (address, prefix): (IpAddr, u8), gateway: Option<IpAddr>) {
        self.make_for_now(
            place,
            Request::AddAddress {
                interface: self.working_index(place),
                address,
                prefix,
            },
        );
        if let Some(gateway) = gateway {
            self.make_for_now(place, Request::AddRoute(self.way(place, None, gateway)));
        }
    }

    /// Adds the routes of an IP version that has an address: the kernel forgets them with its last one.
    pub(super) fn apply_routes(&mut self, place: &Place, is_version: fn(&IpAddr) -> bool) {
        if self.metric(place) != FIRST_METRIC {
            return;
        }
        let plan = self.plan.as_ref();
        let routes = plan
            .map(|plan| plan.addressing.routes.clone())
            .unwrap_or_default();
        for route in routes.iter().filter(|route| is_version(&route.via)) {
            self.make_for_now(
                place,
                Request::AddRoute(self.way(place, Some(route.to), route.via)),
            );
        }
    }

    fn way(&self, place: &Place, to: Option<Cidr>, gateway: IpAddr) -> Way {
        Way {
            interface: self.working_index(place),
            to,
            gateway,
            metric: self.metric(place),
        }
    }

    /// Makes a change that is taken back with the plan. What a lease does again and again is noted once.
    fn make_for_now(&mut self, place: &Place, request: Request) {
        if self.kernel.make(place.index, request)
            && let Some(link) = self.links.get_mut(place)
            && let Some(undo) = request.inverse().filter(|undo| !link.undo.contains(undo))
        {
            link.undo.push(undo);
        }
    }

    /// Takes a lease's address and route away, as far as the kernel still has them.
    pub(super) fn remove(&mut self, place: &Place, lease: &Lease) {
        let address = Request::AddAddress {
            interface: self.working_index(place),
            address: lease.address.into(),
            prefix: lease.prefix,
        };
        let router = lease.router.map(IpAddr::from);
        let route = router.map(|gateway| Request::AddRoute(self.way(place, None, gateway)));
        for request in [route, Some(address)].into_iter().flatten() {
            self.kernel.forget(request);
            let Some(undo) = request.inverse() else {
                continue;
            };
            self.kernel.take_back(&undo);
            if let Some(link) = self.links.get_mut(place) {
                link.undo.retain(|other| *other != undo);
            }
        }
    }

    pub(super) fn working_index(&self, place: &Place) -> u32 {
        let link = self.links.get(place);
        link.map_or(place.index, |link| link.working_index(place))
    }

    fn metric(&self, place: &Place) -> u32 {
        let link = self.links.get(place);
        link.and_then(|link| link.metric).unwrap_or(FIRST_METRIC)
    }
}
