use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use clap::Args;
use ovf::certificate::Signer;
use packer::Error;
use packer::build::Plan;
use packer::pack::{self, GuestSystem};
use packer::recipe::ByteSize;
use vdc::machine::{Bus, Firmware, Machine, Model};
use vdc::manager::{After, Exported};

use super::disk::Effort;
use super::pack::identifier;
use crate::interruption;
use crate::progress::Progress;
use crate::report::printable;
use crate::signer::Signing;
use crate::target;

/// Take a machine out of a VDC manager as an OVA
///
/// The machine has to be switched off, or is stopped with --save-state. Its disks are read once, from the first byte to the last,
/// and compressed on all cores as they come. The package appears under its name only when it is complete.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ova export qemu:///system/server -o server.ova --sign key.pem --cert chain.pem
  ova export 'qemu+ssh://host/system/server' -o server.ova
  ova export qemu:///system/server -o server.ova --save-state --sign key.pem --cert chain.pem")]
pub(crate) struct Arguments {
    /// The machine: a target as of \"ova targets\", a slash, and its name there
    #[arg(value_name = "TARGET/VM")]
    machine: String,
    /// The package to write
    #[arg(short, long, value_name = "OUT.ova")]
    output: PathBuf,
    /// Take a machine that runs, with its memory: where the package is deployed it goes on. Here it stays saved, and goes on
    /// when it is started; if the export fails, it goes on at once
    #[arg(long)]
    save_state: bool,
    /// Have it go on here, too, when the export is done
    #[arg(long, requires = "save_state")]
    resume: bool,
    /// The product's version
    #[arg(long, default_value = "1")]
    version_of_product: String,
    /// Who publishes it
    #[arg(long, default_value = "")]
    vendor: String,
    /// The guest's system: linux, debian, ubuntu, rhel, centos, oracle, sles, other
    #[arg(long, default_value = "linux", value_parser = super::pack::system)]
    os: GuestSystem,
    /// How hard to compress
    #[arg(long, value_enum, default_value_t = Effort::Default)]
    level: Effort,
    #[command(flatten)]
    signing: Signing,
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let Some((target, name)) = self.machine.rsplit_once('/').filter(|(_, name)| !name.is_empty()) else {
            bail!(Error::Usage(format!("{}: not TARGET/VM", self.machine)));
        };
        // Whatever is asked of a person, or is wrong with a key, comes before anything is stopped.
        let signer = self.signing.signer()?;
        if !self.save_state {
            let exported = target::connect(target)?.export(name).map_err(Error::from)?;
            return self.write(exported, signer, json);
        }
        // So does what a package has no words for.
        let manager = target::connect(target)?;
        self.told(&manager.machine(name).map_err(Error::from)?)?
            .recipe()?;
        let (stopped, again) = (Arc::new(Mutex::new(false)), target.to_owned());
        let (known, machine) = (Arc::clone(&stopped), name.to_owned());
        let mut is_stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        interruption::before_the_end(move || {
            // While the machine is being stopped this waits: it can go on only then.
            let is_stopped = known.lock().unwrap_or_else(PoisonError::into_inner);
            if *is_stopped {
                let gone_on = target::connect(&again)
                    .and_then(|target| Ok(target.release(&machine, After::GoesOn).map_err(Error::from)?));
                if let Err(error) = gone_on {
                    let _ = writeln!(anstream::stderr(), "{error:#}");
                }
            }
            // The process ends by the signal, and not by what the packing comes to meanwhile.
            std::mem::forget(is_stopped);
        });
        let progress = Progress::new("saving the machine's memory", json);
        let exported = manager.export_running(name).map_err(Error::from)?;
        *is_stopped = true;
        drop(is_stopped);
        progress.finish();
        let written = self.write(exported, signer, json);
        let mut is_stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        *is_stopped = false;
        let after = match written.is_ok() && !self.resume {
            true => After::StaysSaved,
            false => After::GoesOn,
        };
        let released = manager.release(name, after).map_err(Error::from);
        match (written, released) {
            (written, Ok(())) => written,
            (Ok(_), Err(error)) => Err(error.into()),
            (Err(first), Err(second)) => Err(first.context(second.to_string())),
        }
    }

    fn write(&self, exported: Exported, signer: Option<Signer>, json: bool) -> anyhow::Result<ExitCode> {
        for device in &exported.machine.left_out {
            // Whoever listens there may have gone away.
            let _ = writeln!(anstream::stderr(), "left out: {}", printable(device));
        }
        let recipe = self.told(&exported.machine)?.recipe()?;
        let mut plan = Plan::of_sources(&recipe, signer, exported.disks)?.at_level(self.level.into());
        if let Some(state) = exported.state {
            plan = plan.running(state)?;
        }
        super::build::write(&plan, &self.output, json)
    }

    fn told(&self, machine: &Machine) -> anyhow::Result<pack::Machine> {
        let mut buses = machine.disks.iter().map(|disk| disk.bus);
        let first = buses.next().unwrap_or(Bus::Sata);
        if buses.any(|bus| bus != first) {
            bail!(Error::Refused(
                "the machine's disks hang on controllers of several kinds; one can be told".to_owned()
            ));
        }
        Ok(pack::Machine {
            id: identifier(&machine.name),
            name: machine.name.clone(),
            vendor: self.vendor.clone(),
            version: self.version_of_product.clone(),
            cpus: machine.cpus,
            memory: ByteSize::of_mebibytes(machine.memory >> 20),
            firmware: match machine.firmware {
                Firmware::Bios => "bios",
                Firmware::Efi => "efi",
            },
            controller: match first {
                Bus::Ide => "ide",
                Bus::Sata => "ahci",
                Bus::LsiLogic => "lsilogic",
                Bus::LsiSas => "lsilogic-sas",
                Bus::Pvscsi => "pvscsi",
                Bus::VirtioScsi => "virtio-scsi",
                Bus::VirtioBlk => "virtio-blk",
            },
            system: self.os,
            adapters: machine
                .adapters
                .iter()
                .map(|adapter| (adapter.network.clone(), model(adapter.model)))
                .collect(),
            properties: Vec::new(),
            // They come from the target; a recipe names each all the same.
            disks: machine.disks.iter().map(|disk| PathBuf::from(&disk.id)).collect(),
            backing: None,
        })
    }
}

fn model(model: Model) -> &'static str {
    match model {
        Model::E1000 => "e1000",
        Model::E1000e => "e1000e",
        Model::Pcnet => "pcnet32",
        Model::Vmxnet3 => "vmxnet3",
        Model::Virtio => "virtio",
    }
}
