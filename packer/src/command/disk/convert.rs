use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use image::convert::{Options, Target, convert};
use image::open::check;
use image::source::Source as _;
use image::vmdk::Level;
use packer::build::cores;
use packer::output::Output;
use serde_json::json;

use super::Input;
use crate::progress::Progress;
use crate::report;

/// Turn a disk image into another format, in one pass
///
/// The new image appears under its name only when it is complete. Holes and blocks of zeros are not stored.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The image to read
    image: PathBuf,
    /// The image to write
    output: PathBuf,
    /// What to write; by the output's name, if not given
    #[arg(long, value_name = "FORMAT", value_enum)]
    to: Option<OutputFormat>,
    /// How hard to compress, where the format does
    #[arg(long, value_enum, default_value_t = Effort::Default)]
    level: Effort,
    /// Prove the source's structure first
    #[arg(long)]
    check: bool,
    /// Replace the output if it is there
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    input: Input,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// The disk's bytes, sparse
    Raw,
    /// Stream-optimized VMDK, for OVF packages
    Vmdk,
    /// VMDK of one file, to run from
    VmdkSparse,
    /// QCOW2
    Qcow2,
    /// QCOW2 with compressed clusters
    Qcow2Compressed,
    /// VHD with the blocks that hold data
    Vhd,
    /// VHD of the whole disk, as Azure takes it
    VhdFixed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Effort {
    /// Least time
    Fast,
    /// Smaller than zlib's default in a third of its time
    Default,
    /// Smallest
    Small,
}

impl From<OutputFormat> for Target {
    fn from(format: OutputFormat) -> Self {
        match format {
            OutputFormat::Raw => Self::Raw,
            OutputFormat::Vmdk => Self::StreamOptimized,
            OutputFormat::VmdkSparse => Self::MonolithicSparse,
            OutputFormat::Qcow2 => Self::Qcow2,
            OutputFormat::Qcow2Compressed => Self::CompressedQcow2,
            OutputFormat::Vhd => Self::DynamicVhd,
            OutputFormat::VhdFixed => Self::FixedVhd,
        }
    }
}

impl From<Effort> for Level {
    fn from(effort: Effort) -> Self {
        match effort {
            Effort::Fast => Self::Fast,
            Effort::Default => Self::Default,
            Effort::Small => Self::Small,
        }
    }
}

impl Arguments {
    pub(super) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let target = match self.to.or(by_name(&self.output)) {
            Some(format) => Target::from(format),
            None => bail!(packer::Error::Usage(format!(
                "{}: the name tells no format; say which by --to",
                self.output.display()
            ))),
        };
        if self.output.exists() && !self.replace {
            bail!(packer::Error::Usage(format!(
                "{}: is there already; --replace replaces it",
                self.output.display()
            )));
        }
        if self.check && !check(&self.image, &self.input.options())?.is_sound() {
            bail!(packer::Error::Refused(format!(
                "{}: its structure can't be trusted; ova disk check tells why",
                self.image.display()
            )));
        }
        let disk = self.input.open(&self.image)?;
        let options = Options {
            target,
            level: self.level.into(),
            threads: cores(),
            file_name: "disk.vmdk".to_owned(),
        };
        let mut output = Output::create(&self.output)?;
        let progress = Progress::new("converting", json);
        let capacity = convert(&disk, output.file(), &options, &mut |at| {
            progress.set(at.done, at.total)
        })?;
        progress.finish();
        let bytes = output.file().metadata()?.len();
        output.commit()?;
        if json {
            report::print_json(&json!({ "output": self.output, "bytes": bytes, "virtual_size": capacity }))?;
        } else {
            let sizes = format!(
                "{} for a disk of {}",
                report::size(bytes),
                report::size(disk.size())
            );
            report::print(&format!("{}  {sizes}\n", self.output.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn by_name(path: &Path) -> Option<OutputFormat> {
    Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "raw" | "img" | "dd" => OutputFormat::Raw,
        "vmdk" => OutputFormat::Vmdk,
        "qcow2" => OutputFormat::Qcow2,
        "vhd" => OutputFormat::Vhd,
        _ => return None,
    })
}
