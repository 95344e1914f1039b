//! What the target holds, from the documents that it gives.

use std::net::IpAddr;

use ovf::xml::{Document, Element};

use super::virsh::{Virsh, machine_option, option};
use crate::error::{Error, Kind, Result};
use crate::inventory::{Device, DeviceKind, Inventory, Network, Pool, Vm};

/// As many of each are listed.
const LIST_LIMIT: usize = 10_000;

pub(super) fn read(virsh: &Virsh) -> Result<Inventory> {
    Ok(Inventory {
        pools: pools(virsh)?,
        networks: networks(virsh)?,
        machines: machines(virsh)?,
    })
}

fn machines(virsh: &Virsh) -> Result<Vec<Vm>> {
    let identifiers = names(virsh, &["list", "--all", "--uuid"])?;
    let told = identifiers.iter().map(|uuid| told(virsh, &machine_option(uuid)?));
    // One that has gone since is none.
    let there = told.filter(|vm| {
        vm.as_ref()
            .err()
            .is_none_or(|error| error.kind() != Kind::Missing)
    });
    there.collect()
}

fn names(virsh: &Virsh, arguments: &[&str]) -> Result<Vec<String>> {
    let text = virsh.run(arguments)?;
    // Some lists are padded to a column.
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    Ok(lines.take(LIST_LIMIT).map(str::to_owned).collect())
}

pub(super) fn pools(virsh: &Virsh) -> Result<Vec<Pool>> {
    let active = names(virsh, &["pool-list", "--name"])?;
    let all = names(virsh, &["pool-list", "--all", "--name"])?;
    let pool = |name: String| -> Result<Pool> {
        let document = document(virsh, &["pool-dumpxml", &option("pool", &name)?])?;
        let root = document.root();
        Ok(Pool {
            active: active.contains(&name),
            kind: root.attribute("", "type").unwrap_or_default().to_owned(),
            capacity: number(root, "capacity"),
            available: number(root, "available"),
            name,
        })
    };
    all.into_iter().map(pool).collect()
}

/// The folder of a pool of files.
pub(super) fn folder(virsh: &Virsh, pool: &str) -> Result<String> {
    let document = document(virsh, &["pool-dumpxml", &option("pool", pool)?])?;
    let root = document.root();
    let target = child(root, "target");
    let path = target.and_then(|target| child(target, "path"));
    path.map(|path| path.text())
        .filter(|_| is_of_files(root.attribute("", "type").unwrap_or_default()))
        .filter(|path| path.starts_with('/') && !path.chars().any(char::is_control))
        .ok_or_else(|| Error::new(Kind::Unsupported, pool, "a pool that is no folder"))
}

/// Whether the volumes of a kind of pool are files, whose holes read as zeros.
pub(super) fn is_of_files(kind: &str) -> bool {
    matches!(kind, "dir" | "fs" | "netfs")
}

pub(super) fn networks(virsh: &Virsh) -> Result<Vec<Network>> {
    let active = names(virsh, &["net-list", "--name"])?;
    let all = names(virsh, &["net-list", "--all", "--name"])?;
    let network = |name: String| Network {
        active: active.contains(&name),
        name,
    };
    Ok(all.into_iter().map(network).collect())
}

pub(super) fn machine(virsh: &Virsh, name: &str) -> Result<Vm> {
    told(virsh, &option("domain", name)?)
}

fn told(virsh: &Virsh, domain: &str) -> Result<Vm> {
    let document = document(virsh, &["dumpxml", domain])?;
    let root = document.root();
    let state = virsh.run(&["domstate", domain])?;
    let text = |name: &str| child(root, name).map(|child| child.text()).unwrap_or_default();
    Ok(Vm {
        name: text("name"),
        id: text("uuid"),
        state: state.trim().to_owned(),
        cpus: cpus(root),
        memory: memory(root)?,
        devices: child(root, "devices")
            .into_iter()
            .flat_map(Element::children)
            .filter(|device| device.local_name() != "emulator")
            .map(device)
            .collect(),
    })
}

/// A domain's processors.
pub(super) fn cpus(root: Element<'_>) -> u32 {
    u32::try_from(number(root, "vcpu")).unwrap_or(u32::MAX)
}

/// A domain's memory in bytes.
pub(super) fn memory(root: Element<'_>) -> Result<u64> {
    let memory = child(root, "memory");
    let unit = memory
        .and_then(|memory| memory.attribute("", "unit"))
        .unwrap_or("KiB");
    let scale = match unit {
        "b" | "bytes" => 1,
        "KiB" | "k" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        _ => {
            let reason = format!("memory in '{}'", unit.escape_debug());
            return Err(Error::new(Kind::Answer, "dumpxml", reason));
        }
    };
    Ok(number(root, "memory").saturating_mul(scale))
}

fn device(device: Element<'_>) -> Device {
    let native = device.local_name();
    let own = |name: &str| device.attribute("", name);
    let of = |part: &str, names: &[&str]| {
        let part = child(device, part)?;
        names.iter().find_map(|name| part.attribute("", name))
    };
    let kind = match (native, own("device")) {
        ("disk", Some("disk") | None) => DeviceKind::Disk,
        ("disk", Some("cdrom")) => DeviceKind::Cd,
        ("interface", _) => DeviceKind::Adapter,
        ("controller", _) => DeviceKind::Controller,
        ("serial" | "console", _) => DeviceKind::Serial,
        _ => DeviceKind::Other,
    };
    let model = match kind {
        DeviceKind::Disk | DeviceKind::Cd => of("target", &["bus"]),
        _ => own("model")
            .or_else(|| of("model", &["type", "name"]))
            .or_else(|| own("type")),
    };
    let connected = of(
        "source",
        &[
            "volume", "file", "dev", "network", "bridge", "path", "name", "dir",
        ],
    );
    let address = of("mac", &["address"]);
    Device {
        kind,
        native: native.to_owned(),
        model: model.map(str::to_owned),
        connected: connected.map(str::to_owned),
        address: address.map(str::to_owned),
    }
}

/// What libvirt's own DHCP server gave, what the guest's agent tells, and what neighbours were heard of.
pub(super) fn addresses(virsh: &Virsh, name: &str) -> Result<Vec<IpAddr>> {
    let domain = option("domain", name)?;
    let mut known = parse_addresses(&virsh.run(&["domifaddr", &domain])?);
    for source in ["--source=agent", "--source=arp"] {
        if known.is_empty() {
            // A guest without an agent is no error.
            known = virsh
                .run(&["domifaddr", &domain, source])
                .map_or_else(|_| Vec::new(), |text| parse_addresses(&text));
        }
    }
    Ok(known)
}

/// Lines of interface, MAC address, kind and address with the prefix's length; loopback's are no use to anybody else.
fn parse_addresses(text: &str) -> Vec<IpAddr> {
    let words = text.split_whitespace().filter_map(|word| word.split_once('/'));
    let addresses = words.filter_map(|(address, _)| address.parse::<IpAddr>().ok());
    addresses.filter(|address| !address.is_loopback()).collect()
}

/// The volume of a machine's CD with the environment.
pub(super) fn environment_of(name: &str) -> String {
    format!("{name}-environment.iso")
}

/// A machine's own disks that are volumes of pools: pool and volume.
pub(super) fn volumes(virsh: &Virsh, name: &str) -> Result<Vec<(String, String)>> {
    let document = document(virsh, &["dumpxml", "--inactive", &option("domain", name)?])?;
    let Some(devices) = child(document.root(), "devices") else {
        return Ok(Vec::new());
    };
    // A medium in a drive is borrowed, but for the one that came with the machine.
    let own = |device: &Element<'_>| {
        let shared = child(*device, "shareable").is_some();
        let environment = child(*device, "source").and_then(|source| source.attribute("", "volume"));
        match device.attribute("", "device") {
            Some("disk") | None => !shared,
            _ => environment == Some(&environment_of(name)),
        }
    };
    let disks = devices
        .children()
        .filter(|device| device.local_name() == "disk")
        .filter(own);
    let sources = disks.filter_map(|disk| child(disk, "source"));
    let named = sources.filter_map(|source| {
        let part = |name: &str| source.attribute("", name).map(str::to_owned);
        Some((part("pool")?, part("volume")?))
    });
    Ok(named.collect())
}

pub(super) fn document(virsh: &Virsh, arguments: &[&str]) -> Result<Document> {
    let text = virsh.run(arguments)?;
    Document::parse(text.as_bytes()).map_err(|error| {
        let verb = arguments.first().copied().unwrap_or_default();
        Error::new(Kind::Answer, verb, "the target's answer is no document").because(error)
    })
}

pub(super) fn child<'a>(element: Element<'a>, name: &str) -> Option<Element<'a>> {
    element.children().find(|child| child.local_name() == name)
}

fn number(element: Element<'_>, name: &str) -> u64 {
    let text = child(element, name).map(|child| child.text()).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_of_unknown_kinds_is_kept_by_its_own_name() {
        let document = Document::parse(
            b"<devices><interface type='network'><mac address='52:54:00:00:00:01'/><source network='net'/>\
              <model type='e1000'/></interface><novelty model='x'/></devices>",
        );
        let all: Vec<Device> = document.unwrap().root().children().map(device).collect();
        assert_eq!(
            (all[0].kind, all[0].model.as_deref(), all[0].connected.as_deref()),
            (DeviceKind::Adapter, Some("e1000"), Some("net"))
        );
        assert_eq!(
            (all[1].kind, all[1].native.as_str(), all[1].model.as_deref()),
            (DeviceKind::Other, "novelty", Some("x"))
        );
    }

    #[test]
    fn addresses_of_a_table_are_those_that_others_can_reach() {
        let text = " vnet0  52:54:00:3c:a4:8b  ipv4  192.168.122.132/24\n lo  00:00:00:00:00:00  ipv4  127.0.0.1/8\n \
                    -  -  ipv6  fd00::2/64\n";
        let found: Vec<String> = parse_addresses(text).iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["192.168.122.132", "fd00::2"]);
    }
}
