//! The machine's parts: those that are its own, those that are the host's to say, and its devices.

use ovf::xml::{Element, Writer};

use super::Connections;
use super::devices::devices;
use super::element::{copy, refused, within};
use crate::error::Result;
use crate::libvirt::inventory::child;

/// Parts of a domain that are the machine's own.
const COPIED: [&str; 10] = [
    "name",
    "uuid",
    "genid",
    "title",
    "description",
    "memory",
    "currentMemory",
    "features",
    "clock",
    "pm",
];
/// What may be done when a machine's system ends: others write its memory into the host's files.
const ENDS: [&str; 3] = ["destroy", "restart", "preserve"];
/// Parts that tell how the host is to treat it: this host's own ways hold.
const LEFT: [&str; 9] = [
    "metadata",
    "resource",
    "seclabel",
    "cputune",
    "numatune",
    "blkiotune",
    "memtune",
    "iothreads",
    "iothreadids",
];
pub(super) fn domain(w: &mut Writer, root: Element<'_>, connections: &Connections<'_>) -> Result<()> {
    let mut seen: Vec<&str> = Vec::new();
    for part in root.children() {
        let name = part.local_name();
        // The second of two would be read by one reader and not by another.
        if part.namespace().is_some() || seen.contains(&name) {
            return Err(refused("the machine", "has a second, or another's,", name));
        }
        seen.push(name);
        match name {
            name if COPIED.contains(&name) => copy(w, part)?,
            name if LEFT.contains(&name) => {}
            "vcpu" => {
                let current = part.attribute("", "current").map(|current| ("current", current));
                w.text("vcpu", current.as_slice(), part.text().trim());
            }
            // Its cells have memory of their own.
            "cpu" if child(part, "numa").is_some() => return Err(refused("the processor", "has", "numa")),
            "cpu" => copy(w, part)?,
            "on_poweroff" | "on_reboot" | "on_crash" => {
                let end = part.text();
                if !ENDS.contains(&end.trim()) {
                    return Err(refused(name, "is", &end));
                }
                w.text(name, &[], end.trim());
            }
            "os" => within(w, "os", &[], |w| system(w, part))?,
            "devices" => within(w, "devices", &[], |w| devices(w, part, connections))?,
            other => return Err(refused("the machine", "has", other)),
        }
    }
    Ok(())
}

/// What the machine starts from.
fn system(w: &mut Writer, os: Element<'_>) -> Result<()> {
    if let Some(firmware) = os.attribute("", "firmware") {
        return Err(refused(
            "its variables are kept outside it: firmware",
            "of the kind",
            firmware,
        ));
    }
    for part in os.children() {
        match part.local_name() {
            "type" | "boot" | "bootmenu" | "bios" => copy(w, part)?,
            "smbios" if part.attribute("", "mode") == Some("emulate") => copy(w, part)?,
            other => return Err(refused("what the machine starts from", "has", other)),
        }
    }
    Ok(())
}
