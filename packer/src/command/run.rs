use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use packer::deployment::{self, Given};
use packer::machine::{self, Accelerator, Console, DiskBus, Firmware, Forward, Machine, Monitor, NicModel};
use packer::package::Appliance;
use packer::recipe::ByteSize;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::progress::Progress;
use crate::report;
use crate::trust::Trust;
use crate::values::Values;

/// Boot a package in QEMU, from its own disks
///
/// The package is verified first. Its disks are not unpacked: changes go to copy-on-write layers that are thrown away at
/// the end, or kept in --state. The guest's serial console is shown here. Ctrl-C presses the guest's power button; a second
/// one pulls the plug.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// An OVA, or a descriptor beside its files
    package: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// Firmware; what the descriptor asks for, if not given
    #[arg(long)]
    firmware: Option<FirmwareKind>,
    /// auto runs a tiny guest first to prove that KVM works here
    #[arg(long, default_value = "auto")]
    accel: Accel,
    #[command(flatten)]
    values: Values,
    /// Lead a port of 127.0.0.1 into the guest, such as 8443:443 or udp:5353:53
    #[arg(long = "forward", value_name = "HOST:GUEST")]
    forwards: Vec<Forward>,
    /// Model of the network adapters
    #[arg(long, default_value = "virtio-net")]
    nic: NicModel,
    /// What the disks hang on
    #[arg(long, default_value = "virtio-blk")]
    disk_bus: DiskBus,
    /// How the guest gets its OVF environment
    #[arg(long, default_value = "iso")]
    transport: Transport,
    /// Memory; what the descriptor asks for, if not given
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// Make a disk larger than the package has it
    #[arg(long, value_name = "ID=SIZE", value_parser = disk_size)]
    disk_size: Vec<(String, ByteSize)>,
    /// Keep the disks' layers (ID.qcow2) in this folder, and go on from them next time
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Write the serial console to this file instead of showing it
    #[arg(long, value_name = "FILE")]
    console: Option<PathBuf>,
    /// Where QEMU's monitor (QMP) listens
    #[arg(long, value_name = "SOCKET")]
    monitor: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FirmwareKind {
    Bios,
    Efi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Accel {
    Auto,
    Kvm,
    Tcg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    Iso,
    FwCfg,
    None,
}

fn disk_size(text: &str) -> Result<(String, ByteSize), String> {
    let (id, size) = text
        .split_once('=')
        .ok_or_else(|| format!("'{text}' is not ID=SIZE"))?;
    Ok((id.to_owned(), size.parse()?))
}

/// A guest that was asked to switch off gets this long.
const POWER_OFF_PATIENCE: Duration = Duration::from_secs(120);
const MONITOR_PATIENCE: Duration = Duration::from_secs(30);

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let progress = Progress::new("verifying the package", json);
        self.trust.require_accepted(&self.package, &progress)?;
        let appliance = Appliance::open(&self.package)?;
        progress.finish();
        let given = self.values.given(&appliance.descriptor)?;
        let scratch = tempfile::tempdir().context("a temporary folder")?;
        let machine = self.machine(&appliance, &given, scratch.path())?;
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("signals")?;
        let mut qemu = start(&machine)?;
        if json {
            report::print_json_line(&json!({
                "event": "started", "pid": qemu.id(), "monitor": machine.monitor, "accelerator": machine.accelerator.to_string(),
            }))?;
        } else {
            let bios = if machine.firmware == Firmware::Bios {
                "BIOS"
            } else {
                "UEFI"
            };
            eprintln!(
                "starting {} by {bios} ({}); Ctrl-C presses the power button",
                machine.name, machine.accelerator
            );
        }
        supervise(&mut qemu, &machine.monitor, &mut signals)
    }

    fn machine(&self, appliance: &Appliance, given: &[Given], scratch: &Path) -> anyhow::Result<Machine> {
        let folder = self.state.as_deref().unwrap_or(scratch);
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let document = deployment::environment(&appliance.descriptor, given)?.render()?;
        let (mut environment_iso, mut environment_file) = (None, None);
        match self.transport {
            Transport::Iso => {
                let path = scratch.join("environment.iso");
                deployment::write_iso(&document, &path)?;
                environment_iso = Some(path);
            }
            Transport::FwCfg => {
                let path = scratch.join("ovf-env.xml");
                std::fs::write(&path, &document).with_context(|| path.display().to_string())?;
                environment_file = Some(path);
            }
            Transport::None => {}
        }
        let firmware = match self.firmware {
            Some(FirmwareKind::Efi) => Firmware::efi(folder)?,
            None if appliance.wants_efi() => Firmware::efi(folder)?,
            _ => Firmware::Bios,
        };
        let accelerator = match self.accel {
            Accel::Kvm => Accelerator::Kvm,
            Accel::Auto if machine::kvm_works() => Accelerator::Kvm,
            _ => Accelerator::Tcg,
        };
        Ok(Machine {
            name: appliance.name(),
            accelerator,
            firmware,
            cpus: appliance.cpus(),
            memory_mib: self
                .memory
                .map_or_else(|| appliance.memory_mib(), |size| size.bytes() >> 20),
            disks: self.layers(appliance, folder)?,
            bus: self.disk_bus,
            nics: vec![self.nic; appliance.nics().max(1)],
            forwards: self.forwards.clone(),
            environment_iso,
            environment_file,
            console: self.console.clone().map_or(Console::Terminal, Console::File),
            monitor: self.monitor.clone().unwrap_or_else(|| scratch.join("monitor")),
        })
    }

    fn layers(&self, appliance: &Appliance, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        if let Some((unknown, _)) = self
            .disk_size
            .iter()
            .find(|(id, _)| !appliance.disks.iter().any(|disk| disk.id == *id))
        {
            bail!(packer::Error::Usage(format!(
                "--disk-size: the package has no disk '{unknown}'"
            )));
        }
        let mut layers = Vec::new();
        for disk in &appliance.disks {
            let layer = folder.join(format!("{}.qcow2", disk.id));
            let size = self
                .disk_size
                .iter()
                .find(|(id, _)| *id == disk.id)
                .map(|(_, size)| size.bytes());
            machine::layer(&disk.backing, &layer, size)?;
            layers.push(layer);
        }
        Ok(layers)
    }
}

fn start(machine: &Machine) -> anyhow::Result<Child> {
    // setpriv ties QEMU's life to ours: a killed `ova` leaves no guest behind.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"])
        .args(machine.arguments());
    // A group of its own: Ctrl-C at the terminal is for us, who press the power button, and not for QEMU.
    command.stdin(Stdio::null()).process_group(0);
    let child = command.spawn();
    child.map_err(|error| {
        packer::Error::Program {
            program: "qemu-system-x86_64".into(),
            reason: error.to_string(),
        }
        .into()
    })
}

/// Waits for QEMU's end; the first signal presses the power button, the second ends QEMU.
fn supervise(qemu: &mut Child, monitor: &Path, signals: &mut Signals) -> anyhow::Result<ExitCode> {
    let mut asked: Option<Instant> = None;
    loop {
        if let Some(status) = qemu.try_wait().context("qemu")? {
            if status.success() || asked.is_some() {
                return Ok(ExitCode::SUCCESS);
            }
            bail!(packer::Error::Program {
                program: "qemu-system-x86_64".into(),
                reason: status.to_string()
            });
        }
        for _ in signals.pending() {
            let pressed = asked.is_none() && power_button(monitor).is_ok();
            if !pressed {
                // It may have ended in between, which is as good.
                let _ = qemu.kill();
            }
            asked.get_or_insert_with(Instant::now);
        }
        if asked.is_some_and(|since| since.elapsed() > POWER_OFF_PATIENCE) {
            eprintln!("ova: the guest did not switch itself off; ending it");
            let _ = qemu.kill();
            asked = Some(Instant::now());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn power_button(socket: &Path) -> std::io::Result<()> {
    Monitor::connect(socket, MONITOR_PATIENCE)?
        .execute("system_powerdown", &json!({}))
        .map(drop)
}
