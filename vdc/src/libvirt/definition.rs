//! A machine as a domain of libvirt (its `formatdomain` page).

use ovf::xml::Writer;

use crate::error::{Error, Kind, Result};
use crate::machine::{Bus, Firmware, Machine, Model};

/// What a machine of a package becomes.
pub(super) struct Definition<'a> {
    pub(super) name: &'a str,
    pub(super) id: &'a str,
    pub(super) machine: &'a Machine,
    pub(super) pool: &'a str,
    /// The volume of each disk, in the machine's order.
    pub(super) volumes: &'a [String],
    /// The volume of the CD with the environment.
    pub(super) environment: Option<&'a str>,
    /// The target's network of each adapter.
    pub(super) networks: Vec<&'a str>,
    pub(super) accelerated: bool,
}

impl Definition<'_> {
    /// The document.
    pub(super) fn render(&self) -> Result<Vec<u8>> {
        let mut writer = Writer::new();
        let kind = if self.accelerated { "kvm" } else { "qemu" };
        writer.element("domain", &[("type", kind)], |w| self.domain(w));
        writer
            .finish()
            .map_err(|error| Error::new(Kind::Invalid, self.name, "the machine can't be told").because(error))
    }

    fn domain(&self, w: &mut Writer) {
        let machine = self.machine;
        w.text("name", &[], self.name);
        w.text("uuid", &[], self.id);
        w.text("title", &[], &machine.name.replace('\n', " "));
        w.text("memory", &[("unit", "b")], &machine.memory.to_string());
        w.text("vcpu", &[], &machine.cpus.to_string());
        let efi = machine.firmware == Firmware::Efi;
        let firmware: &[(&str, &str)] = if efi { &[("firmware", "efi")] } else { &[] };
        w.element("os", firmware, |w| {
            // Only the older chipset has IDE.
            let ide = machine.disks.iter().any(|disk| disk.bus == Bus::Ide);
            let chipset = if ide && !efi { "pc" } else { "q35" };
            w.text("type", &[("arch", "x86_64"), ("machine", chipset)], "hvm");
            if efi {
                w.element("firmware", &[], |w| {
                    w.empty("feature", &[("enabled", "no"), ("name", "secure-boot")]);
                });
            }
        });
        w.element("features", &[], |w| {
            w.empty("acpi", &[]);
            w.empty("apic", &[]);
        });
        if self.accelerated {
            w.empty("cpu", &[("mode", "host-model")]);
        }
        w.empty("clock", &[("offset", "utc")]);
        w.text("on_poweroff", &[], "destroy");
        w.text("on_reboot", &[], "restart");
        w.text("on_crash", &[], "destroy");
        w.element("devices", &[], |w| self.devices(w));
    }

    fn devices(&self, w: &mut Writer) {
        self.disks(w);
        for (adapter, network) in self.machine.adapters.iter().zip(&self.networks) {
            w.element("interface", &[("type", "network")], |w| {
                w.empty("source", &[("network", network)]);
                w.empty("model", &[("type", model(adapter.model))]);
            });
        }
        w.element("serial", &[("type", "pty")], |w| {
            w.empty("target", &[("port", "0")])
        });
        w.element("console", &[("type", "pty")], |w| {
            w.empty("target", &[("type", "serial"), ("port", "0")]);
        });
        w.element("channel", &[("type", "unix")], |w| {
            w.empty(
                "target",
                &[("type", "virtio"), ("name", "org.qemu.guest_agent.0")],
            );
        });
        // On loopback: whoever may reach the target's console reaches it through libvirt.
        w.element("graphics", &[("type", "vnc"), ("autoport", "yes")], |w| {
            w.empty("listen", &[("type", "address"), ("address", "127.0.0.1")]);
        });
        w.element("video", &[], |w| w.empty("model", &[("type", "vga")]));
        w.element("rng", &[("model", "virtio")], |w| {
            w.text("backend", &[("model", "random")], "/dev/urandom");
        });
    }

    fn disks(&self, w: &mut Writer) {
        let mut names = Names::default();
        let mut buses: Vec<Bus> = Vec::new();
        for (disk, volume) in self.machine.disks.iter().zip(self.volumes) {
            let order = (buses.is_empty()).then_some("1");
            buses.push(disk.bus);
            w.element("disk", &[("type", "volume"), ("device", "disk")], |w| {
                w.empty(
                    "driver",
                    &[("name", "qemu"), ("type", "raw"), ("discard", "unmap")],
                );
                w.empty("source", &[("pool", self.pool), ("volume", volume)]);
                let (prefix, bus) = target(disk.bus);
                w.empty("target", &[("dev", &names.next(prefix)), ("bus", bus)]);
                if let Some(order) = order {
                    w.empty("boot", &[("order", order)]);
                }
            });
        }
        if let Some(volume) = self.environment {
            let ide = buses.contains(&Bus::Ide);
            let (prefix, bus) = target(if ide { Bus::Ide } else { Bus::Sata });
            w.element("disk", &[("type", "volume"), ("device", "cdrom")], |w| {
                w.empty("driver", &[("name", "qemu"), ("type", "raw")]);
                w.empty("source", &[("pool", self.pool), ("volume", volume)]);
                w.empty("target", &[("dev", &names.next(prefix)), ("bus", bus)]);
                w.empty("readonly", &[]);
            });
        }
        // One controller: libvirt makes it of the model that is told, and puts disks on it in their order.
        if let Some(model) = buses.iter().find_map(|bus| scsi(*bus)) {
            w.empty(
                "controller",
                &[("type", "scsi"), ("index", "0"), ("model", model)],
            );
        }
    }
}

/// Names of devices, which libvirt keeps apart by bus: `sda`, `hda`, `vda`, after `z` come `aa` and so on.
#[derive(Default)]
struct Names(Vec<(&'static str, u32)>);

impl Names {
    fn next(&mut self, prefix: &'static str) -> String {
        let known = self.0.iter().position(|(known, _)| *known == prefix);
        let place = known.unwrap_or_else(|| {
            self.0.push((prefix, 0));
            self.0.len() - 1
        });
        let count = &mut self.0[place].1;
        let (mut number, mut letters) = (*count, Vec::new());
        *count += 1;
        loop {
            letters.push(char::from(b'a' + u8::try_from(number % 26).unwrap_or_default()));
            if number < 26 {
                break;
            }
            number = number / 26 - 1;
        }
        prefix.chars().chain(letters.into_iter().rev()).collect()
    }
}

/// The prefix of a device's name, and its bus.
fn target(bus: Bus) -> (&'static str, &'static str) {
    match bus {
        Bus::Ide => ("hd", "ide"),
        Bus::Sata => ("sd", "sata"),
        Bus::LsiLogic | Bus::LsiSas | Bus::Pvscsi | Bus::VirtioScsi => ("sd", "scsi"),
        Bus::VirtioBlk => ("vd", "virtio"),
    }
}

/// The model of a SCSI controller.
fn scsi(bus: Bus) -> Option<&'static str> {
    match bus {
        Bus::LsiLogic => Some("lsilogic"),
        Bus::LsiSas => Some("lsisas1068"),
        Bus::Pvscsi => Some("vmpvscsi"),
        Bus::VirtioScsi => Some("virtio-scsi"),
        Bus::Ide | Bus::Sata | Bus::VirtioBlk => None,
    }
}

fn model(model: Model) -> &'static str {
    match model {
        Model::E1000 => "e1000",
        Model::E1000e => "e1000e",
        Model::Pcnet => "pcnet",
        Model::Vmxnet3 => "vmxnet3",
        Model::Virtio => "virtio",
    }
}

/// A raw volume of so many bytes, nothing of it set aside.
pub(super) fn volume(name: &str, size: u64) -> Result<Vec<u8>> {
    let mut writer = Writer::new();
    writer.element("volume", &[], |w| {
        w.text("name", &[], name);
        w.text("capacity", &[("unit", "bytes")], &size.to_string());
        w.text("allocation", &[], "0");
        w.element("target", &[], |w| w.empty("format", &[("type", "raw")]));
    });
    writer
        .finish()
        .map_err(|error| Error::new(Kind::Invalid, name, "the volume can't be told").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_past_the_alphabet() {
        let mut names = Names::default();
        assert_eq!(
            (names.next("sd"), names.next("hd"), names.next("sd")),
            ("sda".into(), "hda".into(), "sdb".into())
        );
        let more: Vec<String> = (2..702).map(|_| names.next("sd")).collect();
        assert_eq!([&more[24], &more[699]], ["sdaa", "sdzz"]);
    }
}
