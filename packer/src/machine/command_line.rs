use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Accelerator, Console, Firmware};

/// What the disks hang on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DiskBus {
    /// Virtio block device.
    VirtioBlk,
    /// Virtio SCSI controller.
    VirtioScsi,
    /// VMware paravirtual SCSI controller; not every build of OVMF can boot from it.
    Pvscsi,
    /// SATA.
    Ahci,
}

/// The network adapter's model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum NicModel {
    /// Virtio network device.
    VirtioNet,
    /// Intel 82540.
    E1000,
    /// VMware paravirtual.
    Vmxnet3,
}

impl NicModel {
    fn device(self) -> &'static str {
        match self {
            Self::VirtioNet => "virtio-net-pci",
            Self::E1000 => "e1000",
            Self::Vmxnet3 => "vmxnet3",
        }
    }
}

/// Transport protocol of a forwarded port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A port of this machine's loopback that leads into the guest: `8443:443`, or `udp:5353:53`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// TCP unless said otherwise.
    pub protocol: Protocol,
    /// Port on 127.0.0.1.
    pub host: u16,
    /// Port of the guest.
    pub guest: u16,
}

impl FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (protocol, ports) = match text.split_once(':') {
            Some(("tcp", ports)) => (Protocol::Tcp, ports),
            Some(("udp", ports)) => (Protocol::Udp, ports),
            _ => (Protocol::Tcp, text),
        };
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0);
        let ports = ports
            .split_once(':')
            .and_then(|(host, guest)| port(host).zip(port(guest)));
        let (host, guest) =
            ports.ok_or_else(|| format!("'{text}' is not HOST:GUEST, such as 8443:443 or udp:5353:53"))?;
        Ok(Self {
            protocol,
            host,
            guest,
        })
    }
}

/// A machine to start.
#[derive(Debug)]
pub struct Machine {
    /// Name shown by QEMU.
    pub name: String,
    /// How instructions are run.
    pub accelerator: Accelerator,
    /// What starts it.
    pub firmware: Firmware,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Copy-on-write layers, in boot order.
    pub disks: Vec<PathBuf>,
    /// What they hang on.
    pub bus: DiskBus,
    /// Network adapters; the first has the forwarded ports.
    pub nics: Vec<NicModel>,
    /// Forwarded ports.
    pub forwards: Vec<Forward>,
    /// An ISO image with the environment document.
    pub environment_iso: Option<PathBuf>,
    /// The environment document itself, for `fw_cfg`.
    pub environment_file: Option<PathBuf>,
    /// The serial console.
    pub console: Console,
    /// The monitor's socket.
    pub monitor: PathBuf,
}

impl Machine {
    /// QEMU's arguments.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let mut line = CommandLine(Vec::new());
        line.text("-name", &comma(&self.name));
        line.text("-machine", &format!("q35,accel={},hpet=off", self.accelerator));
        line.text(
            "-cpu",
            if self.accelerator == Accelerator::Kvm {
                "host"
            } else {
                "max"
            },
        );
        line.text("-m", &self.memory_mib.to_string())
            .text("-smp", &self.cpus.to_string());
        line.flag("-nodefaults")
            .flag("-no-user-config")
            .text("-display", "none")
            .text("-vga", "std");
        line.text("-device", "virtio-rng-pci")
            .text("-device", "i6300esb")
            .text("-action", "watchdog=reset");
        line.text(
            "-qmp",
            &format!(
                "unix:{},server=on,wait=off",
                comma(&self.monitor.display().to_string())
            ),
        );
        self.add_console(&mut line);
        self.add_firmware(&mut line);
        self.add_disks(&mut line);
        self.add_nics(&mut line);
        self.add_environment(&mut line);
        line.0
    }

    fn add_console(&self, line: &mut CommandLine) {
        let backend = match &self.console {
            Console::Terminal => "stdio,id=console,signal=off".to_owned(),
            Console::File(path) => format!(
                "file,id=console,append=on,path={}",
                comma(&path.display().to_string())
            ),
        };
        line.text("-chardev", &backend).text("-serial", "chardev:console");
    }

    fn add_firmware(&self, line: &mut CommandLine) {
        let Firmware::Efi { code, variables } = &self.firmware else {
            return;
        };
        for (path, readonly) in [(code, "on"), (variables, "off")] {
            let path = comma(&path.display().to_string());
            line.text(
                "-drive",
                &format!("if=pflash,format=raw,readonly={readonly},file={path}"),
            );
        }
    }

    fn add_disks(&self, line: &mut CommandLine) {
        match self.bus {
            DiskBus::VirtioScsi => line.text("-device", "virtio-scsi-pci,id=scsi"),
            DiskBus::Pvscsi => line.text("-device", "pvscsi,id=scsi"),
            DiskBus::VirtioBlk | DiskBus::Ahci => line,
        };
        for (index, disk) in self.disks.iter().enumerate() {
            let path = comma(&disk.display().to_string());
            line.text(
                "-blockdev",
                &format!(
                    "driver=qcow2,node-name=disk{index},discard=unmap,file.driver=file,file.filename={path}"
                ),
            );
            let device = match self.bus {
                DiskBus::VirtioBlk => "virtio-blk-pci".to_owned(),
                DiskBus::VirtioScsi | DiskBus::Pvscsi => format!("scsi-hd,bus=scsi.0,scsi-id={index}"),
                DiskBus::Ahci => format!("ide-hd,bus=ide.{index}"),
            };
            line.text(
                "-device",
                &format!("{device},drive=disk{index},bootindex={}", index + 1),
            );
        }
    }

    fn add_nics(&self, line: &mut CommandLine) {
        for (index, nic) in self.nics.iter().enumerate() {
            let mut backend = format!("user,id=net{index}");
            for forward in self.forwards.iter().filter(|_| index == 0) {
                let protocol = match forward.protocol {
                    Protocol::Tcp => "tcp",
                    Protocol::Udp => "udp",
                };
                // Writing to a String can't fail.
                let _ = write!(
                    backend,
                    ",hostfwd={protocol}:127.0.0.1:{}-:{}",
                    forward.host, forward.guest
                );
            }
            line.text("-netdev", &backend);
            // No option ROM: network boot would only delay the disk.
            line.text("-device", &format!("{},netdev=net{index},romfile=", nic.device()));
        }
    }

    fn add_environment(&self, line: &mut CommandLine) {
        if let Some(iso) = &self.environment_iso {
            let path = comma(&iso.display().to_string());
            line.text(
                "-blockdev",
                &format!("driver=raw,node-name=env,read-only=on,file.driver=file,file.filename={path}"),
            );
            line.text("-device", "ide-cd,bus=ide.5,drive=env");
        }
        if let Some(file) = &self.environment_file {
            line.text(
                "-fw_cfg",
                &format!("name=opt/ovf.env,file={}", comma(&file.display().to_string())),
            );
        }
    }
}

struct CommandLine(Vec<OsString>);

impl CommandLine {
    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.into());
        self
    }

    fn text(&mut self, option: &str, value: &str) -> &mut Self {
        self.flag(option).flag(value)
    }
}

/// In QEMU's option lists a comma is written twice.
fn comma(text: &str) -> String {
    text.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_two_ports_and_perhaps_a_protocol() {
        let forward: Forward = "udp:5353:53".parse().unwrap();
        assert_eq!(
            (forward.protocol, forward.host, forward.guest),
            (Protocol::Udp, 5353, 53)
        );
        assert_eq!("8443:443".parse::<Forward>().unwrap().protocol, Protocol::Tcp);
        for text in [
            "",
            "8443",
            "0:443",
            "8443:99999",
            "x:y",
            "8443:443,hostfwd=tcp::1-:2",
        ] {
            assert!(text.parse::<Forward>().is_err(), "{text}");
        }
    }
}
