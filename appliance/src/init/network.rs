//! Every Ethernet interface: switched on as soon as it is there, given an address as soon as it is known which.
//!
//! The first interface, in the order of the machine's slots, takes the address of the properties, if there is one; all others, and the first without one,
//! ask DHCP. IPv6 is the kernel's own: it takes what routers announce.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;

use super::dhcp::{self, lease::Lease};
use super::environment::{Settings, StaticAddress};
use super::event::Event;
use super::netlink::{Changes, Request, Route};
use crate::check::{Check, NETWORK};
use crate::error::{Error, Kind, Result};
use crate::hostname::Hostname;
use crate::{file, log};

const SYSFS: &str = "/sys/class/net";
const LOOPBACK: u32 = 1;
/// `ARPHRD_ETHER`.
const ETHERNET: &str = "1";
/// Routes of later interfaces come after those of earlier ones.
const FIRST_METRIC: u32 = 100;
const REMEDY: &str = "Connect the network adapter to a network with a DHCP server, or set the property ip.";

/// The interfaces and what they have.
#[derive(Debug)]
pub struct Network {
    route: Route,
    events: SyncSender<Event>,
    links: BTreeMap<Place, Link>,
    /// Known once the environment was read.
    plan: Option<Plan>,
    problems: Vec<String>,
}

/// Where an interface is: the path of its device in sysfs, which follows the slots of the machine whatever order drivers
/// find them in, and the kernel's index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    device: PathBuf,
    index: u32,
}

#[derive(Debug)]
struct Link {
    name: String,
    hardware: [u8; 6],
    carrier: bool,
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
        lease: Option<Lease>,
    },
    /// Nothing can be done with it.
    Broken,
}

#[derive(Debug, Clone)]
struct Plan {
    hostname: Hostname,
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
            .spawn(move || {
                while changes.wait().is_ok() && sender.send(Event::Links).is_ok() {}
            })
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
        for (place, name) in ethernet_interfaces() {
            if !self.links.contains_key(&place) {
                self.adopt(place, name);
            }
        }
        let gone = |link: &Link| !Path::new(SYSFS).join(&link.name).exists();
        self.links.retain(|_, link| !gone(link));
        for link in self.links.values_mut() {
            let carrier = attribute(&link.name, "carrier").is_some_and(|carrier| carrier == "1");
            if carrier && !link.carrier
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
        let first = self.links.values().next();
        let hostname = match (&settings.hostname, first) {
            (Some(name), _) => name.clone(),
            (None, Some(link)) => Hostname::from_hardware(link.hardware),
            (None, None) => Hostname::default(),
        };
        self.plan = Some(Plan {
            hostname: hostname.clone(),
            address: settings.address,
        });
        self.proceed();
        hostname
    }

    /// An interface got or lost its address by DHCP.
    pub fn lease(&mut self, interface: &str, new: Option<Lease>) {
        let Some((place, link)) = self.links.iter_mut().find(|(_, link)| link.name == interface) else {
            return;
        };
        let index = place.index;
        let Method::Dhcp { lease, .. } = &mut link.method else {
            return;
        };
        let old = std::mem::replace(lease, new.clone());
        let name = link.name.clone();
        if let Some(old) = old.filter(|old| !same_network(old, new.as_ref())) {
            log::info(format_args!("network interface={name} lost={}/{}", old.address, old.prefix));
            let _ = self.remove(index, &old);
        }
        if let Some(new) = new {
            log::info(format_args!("network interface={name} address={}/{}", new.address, new.prefix));
            let address = (new.address.into(), new.prefix);
            self.apply(index, &name, address, new.router.map(IpAddr::from));
        }
    }

    /// Addresses to be reached at, in the order of the interfaces, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<_> = self.links.values().filter_map(Link::address).collect();
        let announced = global_ipv6(&std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default());
        for (index, address) in announced {
            let address = IpAddr::V6(address);
            if self.links.keys().any(|place| place.index == index) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Name servers that DHCP named.
    pub fn name_servers(&self) -> Vec<IpAddr> {
        let leases = self.links.values().filter_map(|link| match &link.method {
            Method::Dhcp { lease, .. } => lease.as_ref(),
            _ => None,
        });
        leases
            .flat_map(|lease| lease.name_servers.iter().copied().map(IpAddr::from))
            .collect()
    }

    /// The check `network`.
    pub fn check(&self) -> Check {
        if let Some(problem) = self.problems.first() {
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
            hardware: hardware(&name).unwrap_or_default(),
            carrier: false,
            method: Method::Undecided,
            name,
        };
        if let Err(error) = self.route.make(&Request::Up { interface: place.index }) {
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
        let places: Vec<_> = self.links.keys().cloned().collect();
        for (number, place) in places.iter().enumerate() {
            let fixed = plan.address.filter(|_| number == 0);
            self.advance(place, fixed, &plan.hostname);
        }
    }

    fn advance(&mut self, place: &Place, fixed: Option<StaticAddress>, hostname: &Hostname) {
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        match link.method {
            Method::Undecided | Method::Waiting => {}
            Method::Static(_) | Method::Dhcp { .. } | Method::Broken => return,
        }
        if let Some(StaticAddress { cidr, gateway }) = fixed {
            link.method = Method::Static(cidr.address);
            let name = link.name.clone();
            log::info(format_args!("network interface={name} address={}/{}", cidr.address, cidr.prefix));
            return self.apply(place.index, &name, (cidr.address, cidr.prefix), gateway);
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
            Ok(client) => Method::Dhcp { client, lease: None },
            Err(error) => {
                self.problems.push(error.chain().to_string());
                Method::Broken
            }
        };
    }

    fn apply(&mut self, interface: u32, name: &str, (address, prefix): (IpAddr, u8), gateway: Option<IpAddr>) {
        let address = Request::AddAddress {
            interface,
            address,
            prefix,
        };
        let route = gateway.map(|gateway| Request::AddDefaultRoute {
            interface,
            gateway,
            metric: FIRST_METRIC.saturating_add(interface),
        });
        for request in [Some(address), route].into_iter().flatten() {
            if let Err(error) = self.route.make(&request) {
                let problem = format!("{name}: the kernel refuses {request:?}: {error}");
                log::error(&problem);
                self.problems.push(problem);
            }
        }
    }

    fn remove(&mut self, interface: u32, lease: &Lease) -> std::io::Result<()> {
        if let Some(gateway) = lease.router.map(IpAddr::from) {
            let metric = FIRST_METRIC.saturating_add(interface);
            let _ = self.route.make(&Request::RemoveDefaultRoute {
                interface,
                gateway,
                metric,
            });
        }
        self.route.make(&Request::RemoveAddress {
            interface,
            address: lease.address.into(),
            prefix: lease.prefix,
        })
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

/// Place and name of every interface that is a device's own: no loopback, bridge or tunnel, and none that works under
/// another, as the fast path of a Hyper-V or virtio adapter does.
fn ethernet_interfaces() -> Vec<(Place, String)> {
    let entries = std::fs::read_dir(SYSFS).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| attribute(name, "type").as_deref() == Some(ETHERNET))
        .filter(|name| !path(name, "master").exists())
        .filter_map(|name| Some((place(&name)?, name)))
        .collect()
}

fn place(name: &str) -> Option<Place> {
    Some(Place {
        device: path(name, "device").canonicalize().ok()?,
        index: attribute(name, "ifindex")?.parse().ok()?,
    })
}

fn path(name: &str, attribute: &str) -> PathBuf {
    Path::new(SYSFS).join(name).join(attribute)
}

fn attribute(name: &str, attribute: &str) -> Option<String> {
    file::text(path(name, attribute)).ok()
}

fn hardware(name: &str) -> Option<[u8; 6]> {
    let text = attribute(name, "address")?;
    let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok());
    bytes.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// Interface and address of every global IPv6 address that is ready for use, from `/proc/net/if_inet6`: address,
/// index, prefix, scope, flags (all hexadecimal) and name.
fn global_ipv6(text: &str) -> Vec<(u32, Ipv6Addr)> {
    const GLOBAL: u8 = 0;
    const TENTATIVE: u8 = 0x40;
    const DUPLICATE: u8 = 0x08;
    let line = |line: &str| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [address, index, _prefix, scope, flags, _name] = fields[..] else {
            return None;
        };
        let byte = |text| u8::from_str_radix(text, 16).ok();
        let ready = byte(flags)? & (TENTATIVE | DUPLICATE) == 0;
        let address = u128::from_str_radix(address, 16).ok()?.into();
        (byte(scope)? == GLOBAL && ready).then_some((u32::from_str_radix(index, 16).ok()?, address))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_global_addresses_that_are_ready_count() {
        let text = "00000000000000000000000000000001 01 80 10 80       lo\n\
            20010db8000000000000000000000005 02 40 00 00     eth0\n\
            20010db8000000000000000000000006 02 40 00 40     eth0\n\
            fe80000000000000505400fffe123456 02 40 20 80     eth0\n\
            nonsense\n";
        assert_eq!(global_ipv6(text), [(2, "2001:db8::5".parse().unwrap())]);
    }
}
