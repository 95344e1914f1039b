//! Every Ethernet interface: switched on as soon as it is there, given an address as soon as it is known which.
//!
//! Until the environment is read the last start's settings may be presumed. Where they prove wrong, everything that came
//! of them is taken back.
//!
//! The first interface, in the order of the machine's slots, takes the address of the properties, if there is one; all
//! others, and the first without one, ask DHCP. IPv6 is the kernel's own: it takes what routers announce.

mod interface;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::mpsc::SyncSender;
use std::thread;

use super::dhcp::{self, lease::Lease};
use super::environment::{Settings, StaticAddress};
use super::event::Event;
use super::netlink::{Changes, Request, Route};
use crate::check::{Check, NETWORK};
use crate::error::{Error, Kind, Result};
use crate::hostname::Hostname;
use crate::log;
use interface::Place;

const LOOPBACK: u32 = 1;
/// The metric of the first interface's routes: those of later interfaces come after those of earlier ones.
const FIRST_METRIC: u32 = 100;
const REMEDY: &str = "Connect the network adapter to a network with a DHCP server, or set the property ip.";

/// The interfaces and what they have.
#[derive(Debug)]
pub struct Network {
    route: Route,
    events: SyncSender<Event>,
    links: BTreeMap<Place, Link>,
    /// What to go by, known or presumed.
    plan: Option<Plan>,
    /// What the kernel last refused, by the interface's index.
    problems: BTreeMap<u32, String>,
}

#[derive(Debug)]
struct Link {
    name: String,
    hardware: [u8; 6],
    carrier: bool,
    /// Of its routes; given in the order of places when the plan is known, and kept.
    metric: Option<u32>,
    method: Method,
}

#[derive(Debug)]
enum Method {
    /// Not known yet.
    Undecided,
    /// Waits for its cable.
    Waiting,
    /// Has the properties' address.
    Static(IpAddr),
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

#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    /// None makes one from the first interface's hardware address.
    hostname: Option<Hostname>,
    address: Option<StaticAddress>,
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
            problems: BTreeMap::new(),
        })
    }

    /// Looks at all interfaces anew: new ones are switched on, ones with a new carrier go on.
    pub fn look(&mut self) {
        for (place, name) in interface::ethernet() {
            if !self.links.contains_key(&place) {
                self.adopt(place, name);
            }
        }
        self.links.retain(|_, link| interface::exists(&link.name));
        let links = &self.links;
        self.problems
            .retain(|index, _| links.keys().any(|place| place.index == *index));
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
    pub fn configure(&mut self, settings: &Settings) -> Hostname {
        let plan = Plan {
            hostname: settings.hostname.clone(),
            address: settings.address,
        };
        let hostname = self.hostname(&plan);
        if self.plan.as_ref().is_some_and(|presumed| *presumed != plan) || !self.is_as_if_known(&hostname) {
            self.start_over();
        }
        self.plan = Some(plan);
        self.proceed();
        hostname
    }

    /// Asks DHCP servers for all addresses until [`Network::configure`] says what to do.
    pub fn presume_dhcp(&mut self, hostname: Option<Hostname>) {
        if self.plan.is_none() {
            let address = None;
            self.plan = Some(Plan { hostname, address });
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
        }
        for link in self.links.values_mut() {
            link.metric = None;
        }
    }

    /// An interface got or lost its address by DHCP.
    pub fn lease(&mut self, interface: &str, new: Option<Lease>) {
        let Some((place, link)) = self.links.iter_mut().find(|(_, link)| link.name == interface) else {
            return;
        };
        let place = place.clone();
        let Method::Dhcp { lease, .. } = &mut link.method else {
            return;
        };
        let old = std::mem::replace(lease, new.clone());
        let name = link.name.clone();
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
            let address = (new.address.into(), new.prefix);
            self.apply(&place, address, new.router.map(IpAddr::from));
        }
    }

    /// Addresses to be reached at, in the order of the interfaces, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<_> = self.links.values().filter_map(Link::address).collect();
        for (index, address) in interface::announced() {
            let address = IpAddr::V6(address);
            if self.links.keys().any(|place| place.index == index) && !addresses.contains(&address) {
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
        if let Some(problem) = self.problems.values().next() {
            return Check::fail(NETWORK, problem.clone(), REMEDY);
        }
        if self.links.is_empty() {
            return Check::fail(
                NETWORK,
                "there is no network interface that a driver fits",
                "Give the virtual machine a network adapter of a supported type and restart.",
            );
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
        let mut next = self.links.values().filter_map(|link| link.metric).max();
        for link in self.links.values_mut().filter(|link| link.metric.is_none()) {
            next = Some(next.map_or(FIRST_METRIC, |last| last.saturating_add(1)));
            link.metric = next;
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
        match link.method {
            Method::Undecided | Method::Waiting => {}
            Method::Static(_) | Method::Dhcp { .. } | Method::Broken => return,
        }
        let fixed = plan.address.filter(|_| link.metric == Some(FIRST_METRIC));
        if let Some(StaticAddress { cidr, gateway }) = fixed {
            link.method = Method::Static(cidr.address);
            let name = link.name.clone();
            log::info(format_args!(
                "network interface={name} address={}/{}",
                cidr.address, cidr.prefix
            ));
            return self.apply(place, (cidr.address, cidr.prefix), gateway);
        }
        if !link.carrier {
            link.method = Method::Waiting;
            return;
        }
        let interface = dhcp::Interface {
            name: link.name.clone(),
            hardware: link.hardware,
        };
        link.method = match dhcp::Handle::start(interface, hostname.clone(), self.events.clone()) {
            Ok(client) => Method::Dhcp {
                client,
                hostname,
                lease: None,
            },
            Err(error) => {
                self.problems.insert(place.index, error.chain().to_string());
                Method::Broken
            }
        };
    }

    fn apply(&mut self, place: &Place, (address, prefix): (IpAddr, u8), gateway: Option<IpAddr>) {
        let interface = place.index;
        let address = Request::AddAddress {
            interface,
            address,
            prefix,
        };
        let route = gateway.map(|gateway| Request::AddDefaultRoute {
            interface,
            gateway,
            metric: self.metric(place),
        });
        self.problems.remove(&interface);
        for request in [Some(address), route].into_iter().flatten() {
            if let Err(error) = self.route.make(&request) {
                let problem = format!("the kernel refuses {request:?}: {error}");
                log::error(&problem);
                self.problems.insert(interface, problem);
            }
        }
    }

    /// Takes an address and its route away, as far as the kernel still has them.
    fn remove(&mut self, place: &Place, lease: &Lease) {
        let interface = place.index;
        if let Some(gateway) = lease.router.map(IpAddr::from) {
            let _ = self.route.make(&Request::RemoveDefaultRoute {
                interface,
                gateway,
                metric: self.metric(place),
            });
        }
        let _ = self.route.make(&Request::RemoveAddress {
            interface,
            address: lease.address.into(),
            prefix: lease.prefix,
        });
    }

    fn metric(&self, place: &Place) -> u32 {
        let link = self.links.get(place);
        link.and_then(|link| link.metric).unwrap_or(FIRST_METRIC)
    }
}

impl Link {
    fn address(&self) -> Option<IpAddr> {
        match &self.method {
            Method::Static(address) => Some(*address),
            Method::Dhcp { lease, .. } => lease.as_ref().map(|lease| lease.address.into()),
            Method::Undecided | Method::Waiting | Method::Broken => None,
        }
    }

    fn waits_for(&self) -> String {
        let name = &self.name;
        match self.method {
            Method::Broken => format!("{name} cannot be used"),
            Method::Undecided => format!("{name} waits for the environment"),
            _ if !self.carrier => format!("{name} is not connected"),
            _ => format!("{name} has no answer from a DHCP server"),
        }
    }
}

fn same_network(old: &Lease, new: Option<&Lease>) -> bool {
    new.is_some_and(|new| (new.address, new.prefix, new.router) == (old.address, old.prefix, old.router))
}
