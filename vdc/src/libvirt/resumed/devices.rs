//! Its devices, connected to what the target has.

use ovf::xml::{Element, Writer};

use super::element::{copy, driver, refused, within};
use super::{Connections, is_disk, is_drive};
use crate::error::Result;
use crate::libvirt::inventory::child;

/// Devices that are connected to nothing.
const ALONE: [&str; 9] = [
    "controller",
    "input",
    "video",
    "sound",
    "memballoon",
    "hub",
    "panic",
    "redirdev",
    "iommu",
];
pub(super) fn devices(w: &mut Writer, devices: Element<'_>, connections: &Connections<'_>) -> Result<()> {
    let mut volumes = connections.volumes.iter();
    let mut networks = connections.networks.iter();
    let mut environment = connections.environment;
    let missing = |what: &str| refused("the machine", "has more than the package:", what);
    for device in devices.children() {
        let kind = device.attribute("", "type").unwrap_or_default();
        match device.local_name() {
            "emulator" => {}
            "disk" if is_disk(device) => {
                let volume = volumes.next().ok_or_else(|| missing("disks"))?;
                disk(w, device, "disk", Some((connections.pool, volume)))?;
            }
            "disk" if is_drive(device) => {
                let medium = environment.take().map(|volume| (connections.pool, volume));
                disk(w, device, "cdrom", medium)?;
            }
            "interface" => {
                let network = networks.next().ok_or_else(|| missing("adapters"))?;
                interface(w, device, network)?;
            }
            "serial" | "parallel" | "console" => character(w, device, "pty")?,
            "channel" if matches!(kind, "unix" | "spicevmc") => character(w, device, kind)?,
            "graphics" if matches!(kind, "vnc" | "spice") => {
                within(w, "graphics", &[("type", kind), ("autoport", "yes")], |w| {
                    w.empty("listen", &[("type", "address"), ("address", "127.0.0.1")]);
                    Ok(())
                })?;
            }
            "graphics" => {}
            "audio" => {
                let id = device.attribute("", "id").unwrap_or("1");
                w.empty("audio", &[("id", id), ("type", "none")]);
            }
            "watchdog" if device.attribute("", "action") == Some("dump") => {
                return Err(refused("a watchdog", "with", "dump"));
            }
            "watchdog" => copy(w, device)?,
            "rng" => rng(w, device)?,
            name if ALONE.contains(&name) => copy(w, device)?,
            other => return Err(refused("the machine", "has", other)),
        }
    }
    Ok(())
}

/// What of a disk the machine sees.
const DISK: [&str; 10] = [
    "target", "boot", "address", "alias", "serial", "wwn", "vendor", "product", "blockio", "geometry",
];

fn disk(w: &mut Writer, disk: Element<'_>, device: &str, volume: Option<(&str, &str)>) -> Result<()> {
    if child(disk, "encryption").is_some() {
        return Err(refused("a disk", "with", "encryption"));
    }
    let mut attributes = vec![
        ("type", if volume.is_some() { "volume" } else { "file" }),
        ("device", device),
    ];
    attributes.extend(disk.attribute("", "model").map(|model| ("model", model)));
    within(w, "disk", &attributes, |w| {
        let own = [("name", "qemu"), ("type", "raw"), ("discard", "unmap")];
        match child(disk, "driver") {
            Some(told) => driver(w, told, &own),
            None => w.empty("driver", &own),
        }
        if let Some((pool, volume)) = volume {
            w.empty("source", &[("pool", pool), ("volume", volume)]);
        }
        let mut seen = disk.children().filter(|part| DISK.contains(&part.local_name()));
        seen.try_for_each(|part| copy(w, part))?;
        if device == "cdrom" {
            w.empty("readonly", &[]);
        }
        Ok(())
    })
}

/// What of an adapter the machine sees.
const ADAPTER: [&str; 6] = ["mac", "model", "boot", "address", "alias", "driver"];

fn interface(w: &mut Writer, adapter: Element<'_>, network: &str) -> Result<()> {
    within(w, "interface", &[("type", "network")], |w| {
        w.empty("source", &[("network", network)]);
        for part in adapter.children() {
            match part.local_name() {
                name if ADAPTER.contains(&name) => copy(w, part)?,
                // The whole network would get it.
                "mtu" => return Err(refused("an adapter", "has", "mtu")),
                _ => {}
            }
        }
        Ok(())
    })
}

/// A port whose other end libvirt makes. It makes a socket of a channel's name.
fn character(w: &mut Writer, device: Element<'_>, kind: &str) -> Result<()> {
    within(w, device.local_name(), &[("type", kind)], |w| {
        for part in device.children() {
            match part.local_name() {
                "target" => {
                    let name = part.attribute("", "name").unwrap_or_default();
                    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
                    if !name.chars().all(fine) || name.contains("..") {
                        return Err(refused("a channel", "called", name));
                    }
                    copy(w, part)?;
                }
                "address" | "alias" => copy(w, part)?,
                _ => {}
            }
        }
        Ok(())
    })
}

fn rng(w: &mut Writer, rng: Element<'_>) -> Result<()> {
    let model = rng.attribute("", "model").unwrap_or("virtio");
    within(w, "rng", &[("model", model)], |w| {
        w.text("backend", &[("model", "random")], "/dev/urandom");
        let seen = |part: &Element<'_>| matches!(part.local_name(), "rate" | "address" | "alias" | "driver");
        rng.children().filter(seen).try_for_each(|part| copy(w, part))
    })
}
