//! Every Ethernet interface: switched on as soon as it is there, given an address as soon as it is known which.
//!
//! Until the environment is read the last start's settings may be presumed. Where they prove wrong, everything that came
//! of them is taken back.
//!
//! The first interface, in the order of the machine's slots, or the VLAN on it, takes the addresses and routes that
//! people chose; all others, and the first where none was chosen, ask DHCP. Beside a chosen one an interface has the
//! IPv6 addresses that the kernel makes of what routers announce.

mod interface;
mod link;
#[cfg(test)]
mod namespace;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::mpsc::SyncSender;
use std::thread;

use super::dhcp::{self, lease::Lease};
use super::event::Event;
use super::modules;
use super::netlink::{self, Changes, Request, Route, Way};
use crate::addressing::{Addressing, Cidr, Mtu, Vlan};
use crate::check::{Check, NETWORK};
use crate::error::{Error, Kind, Result};
use crate::hostname::Hostname;
use crate::log;
use interface::Place;
use link::{Link, Method, Tagged};

const LOOPBACK: u32 = 1;
/// The metric of the first interface's routes: those of later interfaces come after those of earlier ones.
const FIRST_METRIC: u32 = 100;
const VLAN_MODULE: &str = "8021q";
const UNPLUGGED: &str = "Connect the network adapter in the virtualisation platform.";
const REMEDY: &str = "Connect the network adapter to a network with a DHCP server, or set the property ip.";

/// The interfaces and what they have.
#[derive(Debug)]
pub struct Network {
    route: Route,
    events: SyncSender<Event>,
    links: BTreeMap<Place, Link>,
    /// What to go by, known or presumed.
    plan: Option<Plan>,
    problems: Vec<Problem>,
}

/// What the kernel refused and has not taken since.
#[derive(Debug)]
struct Problem {
    /// The index of the interface that it was for.
    interface: u32,
    request: Option<Request>,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    /// None makes one from the first interface's hardware address.
    hostname: Option<Hostname>,
    addressing: Addressing,
}

impl Network {
    /// Opens the way to the kernel, switches the loopback on and listens for changes, reported as [`Event::Links`].
    ///
    /// # Errors
    /// [`Kind::Network`]; without it the appliance has no network.
    pub fn start(events: SyncSender<Event>) -> Result<Self> {
        let failed = |e| Error::new(Kind::Network, "netlink", "is not available").because(e);
        let mut route = Route::open().map_err(failed)?;
        if let Err(error) = route.make(&Request::Up { interface: LOOPBACK }) {
            log::warn(format_args!("lo: cannot be switched on: {error}"));
        }
        let changes = Changes::open().map_err(failed)?;
        let sender = events.clone();
        thread::Builder::new()
            .name("links".to_owned())
            .spawn(
                move || {
                    while changes.wait().is_ok() && sender.send(Event::Links).is_ok() {}
                },
            )
            .map_err(failed)?;
        Ok(Self {
            route,
            events,
            links: BTreeMap::new(),
            plan: None,
            problems: Vec::new(),
        })
    }

    /// Looks at all interfaces anew: new ones are switched on, ones with a new carrier go on.
    pub fn look(&mut self) {
        // One that was taken away and attached again has its name, and another index.
        self.links
            .retain(|place, link| interface::index(&link.name) == Some(place.index));
        for (place, name) in interface::ethernet() {
            if !self.links.contains_key(&place) {
                self.adopt(place, name);
            }
        }
        let links = &self.links;
        self.problems
            .retain(|problem| links.keys().any(|place| place.index == problem.interface));
        for link in self.links.values_mut() {
            let carrier = interface::has_carrier(&link.name);
            if carrier
                && !link.carrier
                && let Method::Dhcp { client, .. } = &link.method
            {
                client.link_up();
            }
            link.carrier = carrier;
        }
        self.proceed();
    }

    /// Goes by these settings from now on. Gives the machine's name.
    pub fn configure(&mut self, hostname: Option<Hostname>, addressing: &Addressing) -> Hostname {
        let plan = Plan::new(hostname, addressing);
        let hostname = self.hostname(&plan);
        let other = self.plan.as_ref().is_some_and(|presumed| *presumed != plan);
        // What the kernel refused it may take now.
        if other || !self.is_as_if_known(&hostname) || !self.problems.is_empty() {
            self.start_over();
        }
        self.plan = Some(plan);
        self.proceed();
        hostname
    }

    /// Asks DHCP servers for all addresses until [`Network::configure`] says what to do.
    pub fn presume_dhcp(&mut self, hostname: Option<Hostname>) {
        if self.plan.is_none() {
            self.plan = Some(Plan::new(hostname, &Addressing::default()));
            self.proceed();
        }
    }

    fn hostname(&self, plan: &Plan) -> Hostname {
        let first = self.links.values().next().map(|link| link.hardware);
        let made = || first.map(Hostname::from_hardware).unwrap_or_default();
        plan.hostname.clone().unwrap_or_else(made)
    }

    /// Whether all that was done by a presumed plan would have been done just so now: interfaces that came out of order
    /// have the wrong metrics, and perhaps the wrong name.
    fn is_as_if_known(&self, name: &Hostname) -> bool {
        let named = |link: &Link| match &link.method {
            Method::Dhcp { hostname, .. } => hostname == name,
            _ => true,
        };
        let metrics = self.links.values().map(|link| link.metric.unwrap_or(u32::MAX));
        metrics.is_sorted() && self.links.values().all(named)
    }

    /// Takes back what was done by a plan that does not hold.
    fn start_over(&mut self) {
        let places: Vec<_> = self.links.keys().cloned().collect();
        for place in places {
            let Some(link) = self.links.get_mut(&place) else {
                continue;
            };
            if matches!(link.method, Method::Broken) {
                continue;
            }
            let method = std::mem::replace(&mut link.method, Method::Undecided);
            if let Method::Dhcp {
                lease: Some(lease), ..
            } = method
            {
                log::info(format_args!(
                    "network interface={} lost={}/{}",
                    link.name, lease.address, lease.prefix
                ));
                self.remove(&place, &lease);
            }
            self.undo(&place);
        }
        for link in self.links.values_mut() {
            link.metric = None;
        }
    }

    /// Takes back what was done to the first interface, as far as the kernel still has it.
    fn undo(&mut self, place: &Place) {
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        for address in link.fixed.drain(..) {
            log::info(format_args!("network interface={} lost={address}", link.name));
        }
        link.vlan = None;
        self.problems.retain(|problem| problem.interface != place.index);
        for request in std::mem::take(&mut link.undo).iter().rev() {
            let _ = self.route.make(request);
        }
    }

    /// An interface got or lost its address by DHCP.
    pub fn lease(&mut self, interface: &str, new: Option<Lease>) {
        let Some((place, link)) = self
            .links
            .iter_mut()
            .find(|(_, link)| link.working_name() == interface)
        else {
            return;
        };
        let place = place.clone();
        let Method::Dhcp { lease, .. } = &mut link.method else {
            return;
        };
        let old = std::mem::replace(lease, new.clone());
        let name = interface;
        // A renewed lease is no news, but the kernel may have lost the address with the link.
        let kept = old.as_ref().is_some_and(|old| same_network(old, new.as_ref()));
        if let Some(old) = old.filter(|_| !kept) {
            log::info(format_args!(
                "network interface={name} lost={}/{}",
                old.address, old.prefix
            ));
            self.remove(&place, &old);
        }
        if let Some(new) = new {
            if !kept {
                log::info(format_args!(
                    "network interface={name} address={}/{}",
                    new.address, new.prefix
                ));
            }
            self.apply(
                &place,
                (new.address.into(), new.prefix),
                new.router.map(IpAddr::from),
            );
            self.apply_routes(&place, IpAddr::is_ipv4);
        }
    }

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
        if let Some(problem) = self.problems.first() {
            return Check::fail(NETWORK, problem.reason.clone(), REMEDY);
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

    fn adopt(&mut self, place: Place, name: String) {
        let mut link = Link {
            hardware: interface::hardware(&name).unwrap_or_default(),
            carrier: false,
            metric: None,
            method: Method::Undecided,
            vlan: None,
            fixed: Vec::new(),
            undo: Vec::new(),
            name,
        };
        if let Err(error) = self.route.make(&Request::Up {
            interface: place.index,
        }) {
            log::error(format_args!("{}: cannot be switched on: {error}", link.name));
            link.method = Method::Broken;
        }
        self.links.insert(place, link);
    }

    /// Brings every interface as far as it can go now.
    fn proceed(&mut self) {
        let Some(plan) = self.plan.clone() else {
            return;
        };
        let mut used: BTreeSet<_> = self.links.values().filter_map(|link| link.metric).collect();
        for link in self.links.values_mut().filter(|link| link.metric.is_none()) {
            // What takes the place of the first interface has its addresses.
            let free = (FIRST_METRIC..u32::MAX).find(|metric| used.insert(*metric));
            link.metric = free;
        }
        let places: Vec<_> = self.links.keys().cloned().collect();
        for place in places {
            self.advance(&place, &plan);
        }
    }

    fn advance(&mut self, place: &Place, plan: &Plan) {
        let hostname = self.hostname(plan);
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        let is_first = link.metric == Some(FIRST_METRIC);
        match link.method {
            Method::Undecided if is_first => {
                link.method = Method::Fixed;
                if !self.give(place, &plan.addressing) || !plan.addressing.dhcp {
                    return;
                }
            }
            Method::Undecided | Method::Waiting => {}
            Method::Fixed | Method::Dhcp { .. } | Method::Broken => return,
        }
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        if !link.carrier {
            link.method = Method::Waiting;
            return;
        }
        let interface = dhcp::Interface {
            name: link.working_name().to_owned(),
            hardware: link.hardware,
        };
        link.method = match dhcp::Handle::start(interface, hostname.clone(), self.events.clone()) {
            Ok(client) => Method::Dhcp {
                client,
                hostname,
                lease: None,
            },
            Err(error) => {
                self.problems.push(Problem {
                    interface: place.index,
                    request: None,
                    reason: error.chain().to_string(),
                });
                Method::Broken
            }
        };
    }

    /// Gives the first interface what people chose. False if there is nothing that an address could be given to.
    fn give(&mut self, place: &Place, addressing: &Addressing) -> bool {
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
        self.make(place, Request::SetMtu { interface, mtu });
    }

    fn add_vlan(&mut self, place: &Place, vlan: Vlan) -> bool {
        modules::load(VLAN_MODULE);
        let interface = place.index;
        let made = self.make(place, Request::AddVlan { interface, vlan });
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
    fn apply(&mut self, place: &Place, (address, prefix): (IpAddr, u8), gateway: Option<IpAddr>) {
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
    fn apply_routes(&mut self, place: &Place, is_version: fn(&IpAddr) -> bool) {
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
        if self.make(place, request)
            && let Some(link) = self.links.get_mut(place)
            && let Some(undo) = request.inverse().filter(|undo| !link.undo.contains(undo))
        {
            link.undo.push(undo);
        }
    }

    /// False, and a problem, if the kernel refuses.
    fn make(&mut self, place: &Place, request: Request) -> bool {
        let made = self.route.make(&request);
        self.problems.retain(|problem| problem.request != Some(request));
        if let Err(error) = &made {
            let reason = format!("the kernel refuses {request:?}: {error}");
            log::error(&reason);
            self.problems.push(Problem {
                interface: place.index,
                request: Some(request),
                reason,
            });
        }
        made.is_ok()
    }

    /// Takes a lease's address and route away, as far as the kernel still has them.
    fn remove(&mut self, place: &Place, lease: &Lease) {
        let address = Request::AddAddress {
            interface: self.working_index(place),
            address: lease.address.into(),
            prefix: lease.prefix,
        };
        let router = lease.router.map(IpAddr::from);
        let route = router.map(|gateway| Request::AddRoute(self.way(place, None, gateway)));
        for request in [route, Some(address)].into_iter().flatten() {
            self.problems.retain(|problem| problem.request != Some(request));
            let Some(undo) = request.inverse() else {
                continue;
            };
            let _ = self.route.make(&undo);
            if let Some(link) = self.links.get_mut(place) {
                link.undo.retain(|other| *other != undo);
            }
        }
    }

    fn working_index(&self, place: &Place) -> u32 {
        let link = self.links.get(place);
        link.map_or(place.index, |link| link.working_index(place))
    }

    fn metric(&self, place: &Place) -> u32 {
        let link = self.links.get(place);
        link.and_then(|link| link.metric).unwrap_or(FIRST_METRIC)
    }
}

impl Plan {
    /// Name servers are no interface's matter.
    fn new(hostname: Option<Hostname>, addressing: &Addressing) -> Self {
        let mut addressing = addressing.clone();
        addressing.name_servers.clear();
        Self { hostname, addressing }
    }
}

fn same_network(old: &Lease, new: Option<&Lease>) -> bool {
    new.is_some_and(|new| (new.address, new.prefix, new.router) == (old.address, old.prefix, old.router))
}
