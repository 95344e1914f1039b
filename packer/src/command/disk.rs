mod check;
mod compare;
mod convert;
mod info;
mod map;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) use convert::{Effort, OutputFormat};

use clap::{Args, Subcommand, ValueEnum};
use image::format::Format;
use image::open::{Disk, Options};

/// Look into disk images of any format, and turn one into another
///
/// Reads raw images, VMDK of every kind, QCOW2, VHD and VHDX, by their bytes and not by their names; a raw image is taken for
/// one by its name (.raw, .img, .dd) or --format alone. Only stretches that hold data are read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ova disk info server.qcow2
  ova disk check disk.vmdk                       exit code 1 if its structure can't be trusted
  ova disk convert server.qcow2 disk.vmdk        a stream-optimized VMDK, for an OVF package
  ova disk convert disk.vmdk server.raw
  ova disk compare server.qcow2 disk.vmdk        the same bytes?")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Info(info::Arguments),
    Check(check::Arguments),
    Map(map::Arguments),
    Compare(compare::Arguments),
    Convert(convert::Arguments),
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Info(arguments) => arguments.run(json),
            Action::Check(arguments) => arguments.run(json),
            Action::Map(arguments) => arguments.run(json),
            Action::Compare(arguments) => arguments.run(json),
            Action::Convert(arguments) => arguments.run(json),
        }
    }
}

/// How an image is to be read.
#[derive(Debug, Args)]
struct Input {
    /// The image's format; told by its bytes, if not given
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<InputFormat>,
    /// The folder in which disks beneath the image may lie; without one an image over another is refused
    #[arg(long, value_name = "DIR")]
    backing: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    Raw,
    Vmdk,
    Qcow2,
    Vhd,
    Vhdx,
}

impl Input {
    fn options(&self) -> Options {
        let format = self.format.map(|format| match format {
            InputFormat::Raw => Format::Raw,
            InputFormat::Vmdk => Format::Vmdk,
            InputFormat::Qcow2 => Format::Qcow2,
            InputFormat::Vhd => Format::Vhd,
            InputFormat::Vhdx => Format::Vhdx,
        });
        Options {
            format,
            folder: self.backing.clone(),
            ..Options::default()
        }
    }

    fn open(&self, path: &Path) -> anyhow::Result<Disk> {
        Ok(image::open(path, &self.options())?)
    }
}
