//! Every Ethernet interface: switched on as soon as it is there, given an address as soon as it is known which.
//!
//! Until the environment is read the last start's settings may be presumed. Where they prove wrong, everything that came
//! of them is taken back.
//!
//! The first interface, in the order of the machine's slots, or the VLAN on it, takes the addresses and routes that
//! people chose; all others, and the first where none was chosen, ask DHCP. Beside a chosen one an interface has the
//! IPv6 addresses that the kernel makes of what routers announce.

mod assignment;
mod interface;
mod kernel;
mod link;
#[cfg(test)]
mod namespace;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::mpsc::SyncSender;
use std::thread;

use super::dhcp::{self, lease::Lease};
use super::event::Event;
use super::netlink::Changes;
use crate::addressing::Addressing;
use crate::error::{Error, Kind, Result};
use crate::hostname::Hostname;
use crate::log;
use interface::Place;
use kernel::Kernel;
use link::{Link, Method};

/// The metric of the first interface's routes: those of later interfaces come after those of earlier ones.
const FIRST_METRIC: u32 = 100;

/// The interfaces and what they have.
#[derive(Debug)]
pub struct Network {
    kernel: Kernel,
    events: SyncSender<Event>,
    links: BTreeMap<Place, Link>,
    /// What to go by, known or presumed.
    plan: Option<Plan>,
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
        let kernel = Kernel::open().map_err(failed)?;
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
            kernel,
            events,
            links: BTreeMap::new(),
            plan: None,
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
        self.kernel
            .forget_all_but(|interface| links.keys().any(|place| place.index == interface));
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
        if other || !self.is_as_if_known(&hostname) || self.kernel.problem().is_some() {
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
        if let Err(error) = self.kernel.switch_on(place.index) {
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
                self.kernel.note(place.index, error.chain().to_string());
                Method::Broken
            }
        };
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
