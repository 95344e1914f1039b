use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use packer::build::Plan;
use packer::pack::{GuestSystem, Machine, SYSTEMS};
use packer::recipe::ByteSize;

use super::disk::Effort;
use crate::signer::Signing;

/// Make an OVA from disk images, without a recipe
///
/// Disks may be raw images, VMDK, QCOW2, VHD or VHDX; the first is booted from. They are read once and compressed on all cores.
/// The package appears under its name only when it is complete. To a pipe every disk is compressed twice, for its size goes
/// before it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ova pack server.qcow2 -o server.ova
  ova pack system.vhdx data.raw -o app.ova --cpus 4 --memory 8GiB --firmware efi --os debian --nic Intranet \\
    --prop hostname --sign key.pem --cert chain.pem")]
pub(crate) struct Arguments {
    /// Disk images, the one to boot from first
    #[arg(required = true, value_name = "DISK")]
    disks: Vec<PathBuf>,
    /// The package to write, or `-` for a pipe
    #[arg(short, long, value_name = "OUT.ova")]
    output: PathBuf,
    /// The machine's name; the package's, if not given; "vm" in a pipe
    #[arg(long)]
    name: Option<String>,
    /// The product's version
    #[arg(long, default_value = "1")]
    version_of_product: String,
    /// Who publishes it
    #[arg(long, default_value = "")]
    vendor: String,
    /// Virtual CPUs
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=128))]
    cpus: u32,
    /// Memory
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    memory: ByteSize,
    /// Firmware
    #[arg(long, value_enum, default_value_t = Firmware::Bios)]
    firmware: Firmware,
    /// What the disks hang on
    #[arg(long, value_enum, default_value_t = Controller::Ahci)]
    controller: Controller,
    /// The guest's system: linux, debian, ubuntu, rhel, centos, oracle, sles, other
    #[arg(long, default_value = "linux", value_parser = system)]
    os: GuestSystem,
    /// A network adapter in this network; none by "--nic none" [default: one, in "VM Network"]
    #[arg(long, value_name = "NETWORK")]
    nic: Vec<String>,
    /// The adapters' model
    #[arg(long, value_enum, default_value_t = Adapter::E1000)]
    nic_model: Adapter,
    /// A property that whoever deploys the package sets, with a default if it has one
    #[arg(long, value_name = "KEY[=DEFAULT]", value_parser = property)]
    prop: Vec<(String, Option<String>)>,
    /// The folder in which disks beneath the images may lie; without one an image over another is refused
    #[arg(long, value_name = "DIR")]
    backing: Option<PathBuf>,
    /// How hard to compress
    #[arg(long, value_enum, default_value_t = Effort::Default)]
    level: Effort,
    #[command(flatten)]
    signing: Signing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Firmware {
    Bios,
    Efi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Controller {
    Ahci,
    Lsilogic,
    Pvscsi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Adapter {
    E1000,
    Vmxnet3,
    Virtio,
}

pub(super) fn system(name: &str) -> Result<GuestSystem, String> {
    GuestSystem::named(name).ok_or_else(|| format!("one of {}", SYSTEMS.map(|system| system.name).join(", ")))
}

fn property(text: &str) -> Result<(String, Option<String>), String> {
    Ok(match text.split_once('=') {
        Some((key, default)) => (key.to_owned(), Some(default.to_owned())),
        None => (text.to_owned(), None),
    })
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let output = self.output.clone();
        super::build::beside(&output, json, self.pack(json))
    }

    fn pack(self, json: bool) -> anyhow::Result<ExitCode> {
        let signer = self.signing.signer()?;
        let recipe = self.machine()?.recipe()?;
        let plan = Plan::new(&recipe, signer)?.at_level(self.level.into()).unlisted();
        super::build::write(&plan, &self.output, json)
    }

    fn machine(&self) -> anyhow::Result<Machine> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None if self.output == Path::new("-") => "vm".to_owned(),
            None => self
                .output
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        };
        let networks = match &self.nic[..] {
            [] => vec!["VM Network".to_owned()],
            [none] if none == "none" => Vec::new(),
            networks => networks.to_vec(),
        };
        let adapter = match self.nic_model {
            Adapter::E1000 => "e1000",
            Adapter::Vmxnet3 => "vmxnet3",
            Adapter::Virtio => "virtio",
        };
        let here = std::env::current_dir()?;
        let absolute = |path: &Path| here.join(path);
        Ok(Machine {
            id: identifier(&name),
            name,
            vendor: self.vendor.clone(),
            version: self.version_of_product.clone(),
            cpus: self.cpus,
            memory: self.memory,
            firmware: match self.firmware {
                Firmware::Bios => "bios",
                Firmware::Efi => "efi",
            },
            controller: match self.controller {
                Controller::Ahci => "ahci",
                Controller::Lsilogic => "lsilogic",
                Controller::Pvscsi => "pvscsi",
            },
            system: self.os,
            adapters: networks.into_iter().map(|network| (network, adapter)).collect(),
            properties: self.prop.clone(),
            disks: self.disks.iter().map(|disk| absolute(disk)).collect(),
            backing: self.backing.as_deref().map(absolute),
        })
    }
}

/// A name as an identifier: what may not stand in one becomes a hyphen.
pub(super) fn identifier(name: &str) -> String {
    let mut id: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    if !id.starts_with(|c: char| c.is_ascii_alphabetic()) {
        id.insert_str(0, "vm-");
        id.truncate(40);
    }
    id
}
