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
/// What of a driver the machine sees.
const DRIVER: [&str; 15] = [
    "queues",
    "queue_size",
    "rx_queue_size",
    "tx_queue_size",
    "iommu",
    "ats",
    "packed",
    "page_per_vq",
    "cmd_per_lun",
    "max_sectors",
    "intremap",
    "caching_mode",
    "eim",
    "iotlb",
    "aw_bits",
];
/// Names, of elements and attributes, by which something of the host is told.
const OF_THE_HOST: [&str; 10] = [
    "rendernode",
    "source",
    "backend",
    "emulator",
    "script",
    "file",
    "path",
    "socket",
    "pty",
    "table",
];

impl Resumed {
    /// Reads a definition.
    pub(super) fn parse(definition: &str) -> Result<Self> {
        let document = Document::parse(definition.as_bytes()).map_err(|error| {
            Error::new(Kind::Invalid, "", "the saved machine's definition").because(error)
        })?;
        Ok(Self(document))
    }

    pub(super) fn document(&self) -> &Document {
        &self.0
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

    /// Whether it has a drive for the CD with the environment.
    pub(super) fn has_drive(&self) -> bool {
        self.devices().any(is_drive)
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

fn is_drive(device: Element<'_>) -> bool {
    device.local_name() == "disk" && device.attribute("", "device") == Some("cdrom")
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

/// An element as it is, as long as it names nothing of the host; of a driver, what the machine sees.
fn copy(w: &mut Writer, element: Element<'_>) -> Result<()> {
    let name = element.local_name();
    if element.namespace().is_some() || OF_THE_HOST.contains(&name) {
        return Err(refused("the machine", "has", name));
    }
    if name == "driver" {
        driver(w, element, &[]);
        return Ok(());
    }
    let mut attributes: Vec<(&str, &str)> = Vec::new();
    for attribute in element.attributes() {
        let key = attribute.name.local.as_str();
        if attribute.name.namespace.is_some() || OF_THE_HOST.contains(&key) {
            return Err(refused(name, "with", key));
        }
        attributes.push((key, &attribute.value));
    }
    if element.children().next().is_some() {
        return within(w, name, &attributes, |w| {
            element.children().try_for_each(|child| copy(w, child))
        });
    }
    match element.text().as_str() {
        "" => w.empty(name, &attributes),
        text => w.text(name, &attributes, text),
    }
    Ok(())
}

/// A driver with what of it the machine sees.
fn driver(w: &mut Writer, told: Element<'_>, own: &[(&str, &str)]) {
    let seen = DRIVER
        .iter()
        .filter_map(|name| Some((*name, told.attribute("", name)?)));
    let attributes: Vec<(&str, &str)> = own.iter().copied().chain(seen).collect();
    if !attributes.is_empty() {
        w.empty("driver", &attributes);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "<domain type='qemu'><name>n</name><uuid>u</uuid><memory unit='KiB'>65536</memory><vcpu placement='static' cpuset='7' current='1'>1</vcpu>\
        <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><seclabel type='none'/><devices>\
        <emulator>/bin/evil</emulator>\
        <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/etc/shadow'/><target dev='sda' bus='sata'/></disk>\
        <disk type='file' device='cdrom'><source file='/etc/shadow'/><target dev='sdb' bus='sata'/></disk>\
        <interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/><script path='/bin/evil'/></interface>\
        <serial type='file'><source path='/etc/passwd'/><target port='0'/></serial>\
        <rng model='virtio'><backend model='random'>/etc/shadow</backend><driver packed='on' name='/etc'/></rng></devices></domain>";

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
            "packed=\"on\"",
            "current=\"1\">1</vcpu>",
        ] {
            assert!(told.contains(kept), "{kept}: {told}");
        }
        for gone in ["/etc", "/bin", "br0", "seclabel", "qcow2", "cpuset"] {
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
            with("<channel type='unix'><target type='virtio' name='../../etc/x'/></channel>"),
            with("<channel type='unix'><target type='virtio' name='a/b'/></channel>"),
            with("<watchdog model='itco' action='dump'/>"),
            MACHINE.replace("<script path='/bin/evil'/>", "<mtu size='68'/>"),
            MACHINE.replace("<os>", "<os><acpi><table type='slic'>/etc/shadow</table></acpi>"),
            MACHINE.replace("<os>", "<os><dtb>/etc/shadow</dtb>"),
            MACHINE.replace("<os>", "<os><smbios mode='host'/>"),
            MACHINE.replace("<os>", "<on_crash>coredump-restart</on_crash><os>"),
            MACHINE.replace(
                "<os>",
                "<cpu><numa><cell memory='3' unit='GiB'/></numa></cpu><os>",
            ),
            MACHINE.replace("<devices>", "<devices/><devices>"),
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
