//! A machine that was running when it was packed: its own definition, with this target's volumes and networks in it.
//!
//! The state fits no other hardware, so the definition has to be the one it was saved under. But it came in a package: nothing
//! in it may name anything of the host. What is known to be hardware alone is copied, whatever is connected to the host is
//! written anew, and the rest is refused.

use ovf::xml::{Document, Element, Writer};

use super::inventory::{child, memory};
use crate::error::{Error, Kind, Result};
use crate::machine::Machine;

/// Who saves such states.
pub(super) const PLATFORM: &str = "libvirt-qemu";

/// A saved machine's definition, read.
pub(super) struct Resumed(Document);

/// What of the target's takes the place of what the machine had.
pub(super) struct Connections<'a> {
    pub(super) pool: &'a str,
    /// The volume of each disk.
    pub(super) volumes: &'a [String],
    /// The volume in the first drive.
    pub(super) environment: Option<&'a str>,
    /// The network of each adapter.
    pub(super) networks: &'a [String],
}

/// Parts of a domain that are the machine's own.
const COPIED: [&str; 15] = [
    "name",
    "uuid",
    "genid",
    "title",
    "description",
    "memory",
    "currentMemory",
    "vcpu",
    "features",
    "cpu",
    "clock",
    "on_poweroff",
    "on_reboot",
    "on_crash",
    "pm",
];
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
/// Devices that are connected to nothing.
const ALONE: [&str; 10] = [
    "controller",
    "input",
    "video",
    "sound",
    "memballoon",
    "watchdog",
    "hub",
    "panic",
    "redirdev",
    "iommu",
];
/// Names, of elements and attributes, by which something of the host is told.
const OF_THE_HOST: [&str; 12] = [
    "source", "backend", "loader", "nvram", "kernel", "initrd", "emulator", "script", "file", "path",
    "socket", "pty",
];

impl Resumed {
    /// Reads a definition.
    pub(super) fn parse(definition: &str) -> Result<Self> {
        let document = Document::parse(definition.as_bytes()).map_err(|error| {
            Error::new(Kind::Invalid, "", "the saved machine's definition").because(error)
        })?;
        Ok(Self(document))
    }

    pub(super) fn name(&self) -> String {
        self.text("name")
    }

    pub(super) fn uuid(&self) -> String {
        self.text("uuid")
    }

    fn text(&self, name: &str) -> String {
        child(self.0.root(), name)
            .map(|child| child.text())
            .unwrap_or_default()
    }

    /// Refuses a definition of another machine than the package tells of.
    pub(super) fn agrees(&self, machine: &Machine) -> Result<()> {
        let of = |kind: fn(Element<'_>) -> bool| self.devices().filter(|device| kind(*device)).count();
        let told = (
            self.text("vcpu").trim().parse().unwrap_or(0),
            memory(self.0.root())?,
            of(is_disk),
            of(|device| device.local_name() == "interface"),
        );
        let wanted = (
            machine.cpus,
            machine.memory,
            machine.disks.len(),
            machine.adapters.len(),
        );
        if told != wanted {
            let reason = format!(
                "the saved state is of a machine with {} CPUs, {} bytes of memory, {} disks, {} adapters; the package tells of {}, {}, {}, {}",
                told.0, told.1, told.2, told.3, wanted.0, wanted.1, wanted.2, wanted.3
            );
            return Err(Error::new(Kind::Invalid, self.name(), reason));
        }
        Ok(())
    }

    fn devices(&self) -> impl Iterator<Item = Element<'_>> {
        let devices = child(self.0.root(), "devices");
        devices.into_iter().flat_map(Element::children)
    }

    /// Whether the machine can be told with everything of the host left out.
    pub(super) fn check(&self) -> Result<()> {
        let some = |kind: fn(Element<'_>) -> bool| {
            let count = self.devices().filter(|device| kind(*device)).count();
            vec!["x".to_owned(); count]
        };
        let connections = Connections {
            pool: "x",
            volumes: &some(is_disk),
            environment: None,
            networks: &some(|device| device.local_name() == "interface"),
        };
        self.render(&connections).map(drop)
    }

    /// The definition under which the state goes on here.
    pub(super) fn render(&self, connections: &Connections<'_>) -> Result<Vec<u8>> {
        let root = self.0.root();
        let kind = root.attribute("", "type").unwrap_or_default();
        if root.local_name() != "domain" || !matches!(kind, "qemu" | "kvm") {
            return Err(refused("domain", "of the kind", kind));
        }
        let mut writer = Writer::new();
        let mut told = Ok(());
        writer.element("domain", &[("type", kind)], |w| {
            told = domain(w, root, connections)
        });
        told?;
        writer
            .finish()
            .map_err(|error| Error::new(Kind::Invalid, "", "the saved machine can't be told").because(error))
    }
}

fn is_disk(device: Element<'_>) -> bool {
    device.local_name() == "disk" && matches!(device.attribute("", "device"), Some("disk") | None)
}

fn refused(part: &str, what: &str, value: &str) -> Error {
    let reason = format!(
        "a saved state can't be taken along: {part} {what} '{}'",
        value.escape_debug()
    );
    Error::new(Kind::Unsupported, "", reason)
}

fn domain(w: &mut Writer, root: Element<'_>, connections: &Connections<'_>) -> Result<()> {
    for part in root.children() {
        match part.local_name() {
            _ if part.namespace().is_some() => return Err(refused("the machine", "has", part.local_name())),
            name if COPIED.contains(&name) => copy(w, part)?,
            name if LEFT.contains(&name) => {}
            "os" => {
                if let Some(firmware) = part.attribute("", "firmware") {
                    return Err(refused(
                        "its variables are kept outside it: firmware",
                        "of the kind",
                        firmware,
                    ));
                }
                copy(w, part)?;
            }
            "devices" => within(w, "devices", &[], |w| devices(w, part, connections))?,
            other => return Err(refused("the machine", "has", other)),
        }
    }
    Ok(())
}

/// An element whose content may turn out to be untellable.
fn within(
    w: &mut Writer,
    name: &str,
    attributes: &[(&str, &str)],
    body: impl FnOnce(&mut Writer) -> Result<()>,
) -> Result<()> {
    let mut told = Ok(());
    w.element(name, attributes, |w| told = body(w));
    told
}

/// An element as it is, as long as it names nothing of the host.
fn copy(w: &mut Writer, element: Element<'_>) -> Result<()> {
    copy_without(w, element, &[])
}

/// As [`copy`], with some children left out.
fn copy_without(w: &mut Writer, element: Element<'_>, without: &[&str]) -> Result<()> {
    let name = element.local_name();
    if element.namespace().is_some() || OF_THE_HOST.contains(&name) {
        return Err(refused("the machine", "has", name));
    }
    let mut attributes: Vec<(&str, &str)> = Vec::new();
    for attribute in element.attributes() {
        let key = attribute.name.local.as_str();
        if attribute.name.namespace.is_some() || OF_THE_HOST.contains(&key) {
            return Err(refused(name, "with", key));
        }
        attributes.push((key, &attribute.value));
    }
    let mut children = element.children().peekable();
    if children.peek().is_some() {
        return within(w, name, &attributes, |w| {
            children
                .filter(|child| !without.contains(&child.local_name()))
                .try_for_each(|child| copy(w, child))
        });
    }
    match element.text().as_str() {
        "" => w.empty(name, &attributes),
        text => w.text(name, &attributes, text),
    }
    Ok(())
}

fn devices(w: &mut Writer, devices: Element<'_>, connections: &Connections<'_>) -> Result<()> {
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
            "disk" if device.attribute("", "device") == Some("cdrom") => {
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
            "audio" => w.empty("audio", &[("id", "1"), ("type", "none")]),
            "rng" => rng(w, device)?,
            name if ALONE.contains(&name) => copy_without(w, device, &["driver"])?,
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
        w.empty(
            "driver",
            &[("name", "qemu"), ("type", "raw"), ("discard", "unmap")],
        );
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
const ADAPTER: [&str; 6] = ["mac", "model", "boot", "address", "alias", "mtu"];
/// What of its driver.
const DRIVER: [&str; 7] = [
    "queues",
    "rx_queue_size",
    "tx_queue_size",
    "iommu",
    "ats",
    "packed",
    "page_per_vq",
];

fn interface(w: &mut Writer, adapter: Element<'_>, network: &str) -> Result<()> {
    within(w, "interface", &[("type", "network")], |w| {
        w.empty("source", &[("network", network)]);
        for part in adapter.children() {
            if ADAPTER.contains(&part.local_name()) {
                copy(w, part)?;
            } else if part.local_name() == "driver" {
                let seen = DRIVER
                    .iter()
                    .filter_map(|name| Some((*name, part.attribute("", name)?)));
                w.empty("driver", &seen.collect::<Vec<_>>());
            }
        }
        Ok(())
    })
}

/// A port whose other end libvirt makes.
fn character(w: &mut Writer, device: Element<'_>, kind: &str) -> Result<()> {
    within(w, device.local_name(), &[("type", kind)], |w| {
        let seen = |part: &Element<'_>| matches!(part.local_name(), "target" | "address" | "alias");
        device.children().filter(seen).try_for_each(|part| copy(w, part))
    })
}

fn rng(w: &mut Writer, rng: Element<'_>) -> Result<()> {
    let model = rng.attribute("", "model").unwrap_or("virtio");
    within(w, "rng", &[("model", model)], |w| {
        w.text("backend", &[("model", "random")], "/dev/urandom");
        let seen = |part: &Element<'_>| matches!(part.local_name(), "rate" | "address" | "alias");
        rng.children().filter(seen).try_for_each(|part| copy(w, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "<domain type='qemu'><name>n</name><uuid>u</uuid><memory unit='KiB'>65536</memory><vcpu>1</vcpu>\
        <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><seclabel type='none'/><devices>\
        <emulator>/bin/evil</emulator>\
        <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/etc/shadow'/><target dev='sda' bus='sata'/></disk>\
        <disk type='file' device='cdrom'><source file='/etc/shadow'/><target dev='sdb' bus='sata'/></disk>\
        <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><script path='/bin/evil'/></interface>\
        <serial type='file'><source path='/etc/passwd'/><target port='0'/></serial>\
        <rng model='virtio'><backend model='random'>/etc/shadow</backend></rng></devices></domain>";

    fn rendered(definition: &str) -> Result<String> {
        let (volumes, networks) = (["v".to_owned()], ["net".to_owned()]);
        let connections = Connections {
            pool: "p",
            volumes: &volumes,
            environment: Some("e.iso"),
            networks: &networks,
        };
        let bytes = Resumed::parse(definition)?.render(&connections)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_definition_from_a_package_keeps_its_hardware_and_names_nothing_of_the_host() {
        let told = rendered(MACHINE).unwrap();
        for kept in [
            "pc-q35-7.2",
            "52:54:00:00:00:01",
            "volume=\"v\"",
            "volume=\"e.iso\"",
            "network=\"net\"",
            "dev=\"sdb\"",
        ] {
            assert!(told.contains(kept), "{kept}: {told}");
        }
        for gone in ["/etc", "/bin", "br0", "seclabel", "qcow2"] {
            assert!(!told.contains(gone), "{gone}: {told}");
        }
    }

    #[test]
    fn what_reaches_into_the_host_or_is_not_known_is_refused() {
        let with = |device: &str| MACHINE.replace("</devices>", &format!("{device}</devices>"));
        for definition in [
            with("<hostdev mode='subsystem' type='pci'><source/></hostdev>"),
            with("<filesystem type='mount'><source dir='/'/></filesystem>"),
            with("<input type='evdev'><source dev='/dev/input/event0'/></input>"),
            with("<disk device='lun'><source dev='/dev/sda'/></disk>"),
            with("<disk device='disk'/>"),
            with("<channel type='file'><target type='virtio'/></channel>"),
            with("<video><model type='vga'/><driver vgaconf='io'/><rom file='/etc/shadow'/></video>"),
            MACHINE.replace("<os>", "<os><kernel>/boot/vmlinuz</kernel>"),
            MACHINE.replace("<os>", "<os><loader>/bin/evil</loader>"),
            MACHINE.replace("<os>", "<os firmware='efi'>"),
            MACHINE.replace("<seclabel type='none'/>", "<memoryBacking/>"),
            MACHINE.replace(
                "<seclabel type='none'/>",
                "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/>",
            ),
            MACHINE.replace("type='qemu'><name>", "type='xen'><name>"),
            "<domain".to_owned(),
        ] {
            assert!(rendered(&definition).is_err(), "{definition}");
        }
    }
}
