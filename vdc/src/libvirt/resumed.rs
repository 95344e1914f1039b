//! A machine that was running when it was packed: its own definition, with this target's volumes and networks in it.
//!
//! The state fits no other hardware, so the definition has to be the one it was saved under. But it came in a package: nothing
//! in it may name anything of the host. What is known to be hardware alone is copied, whatever is connected to the host is
//! written anew, and the rest is refused.

mod devices;
mod domain;
mod element;

use ovf::xml::{Document, Element, Writer};

use super::inventory::{child, memory};
use crate::error::{Error, Kind, Result};
use crate::machine::Machine;
use domain::domain;
use element::refused;

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
