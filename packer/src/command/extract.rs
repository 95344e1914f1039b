use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use image::convert::{Options, Target, convert};
use image::error::Kind;
use image::vmdk::{self, Level};
use ovf::package::{Index, Source};
use packer::Error;
use packer::build::cores;
use packer::extract::{Extracted, Extraction, Wanted};
use packer::location::{Location, Reading};
use packer::output::Output;
use packer::section::Section;
use serde_json::json;

use super::disk::OutputFormat;
use crate::access::Access;
use crate::progress::Progress;
use crate::report;
use crate::trust::{Trust, accepted, judge_taking};

/// Take members or a disk out of a package, verified in the same pass
///
/// The package is read once: what is read is digested, inflated and written at once, and gets its name only on a good
/// verdict. From a pipe or a server, too. Formats other than raw and vmdk are written after the verdict, from a package that
/// is a file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ova extract node.ova -o folder --trust ca.pem            every member
  ova extract node.ova --disk 1 --format raw -o disk.raw   a disk, inflated
  curl -s https://example.com/node.ova | ova extract - --disk 1 --format raw -o disk.raw")]
pub(crate) struct Arguments {
    /// An OVA, or a descriptor beside its files: a file, an http(s) URL, or `-` for an OVA from standard input
    package: PathBuf,
    /// The folder for the members, or the disk's file
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// A disk: its number from 1, or its id in the descriptor
    #[arg(long, value_name = "DISK")]
    disk: Option<String>,
    /// What the disk becomes; the member as it is, if not given
    #[arg(long, value_name = "FORMAT", value_enum, requires = "disk")]
    format: Option<OutputFormat>,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    trust: Trust,
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        if self.disk.is_none() && self.output.exists() && std::fs::read_dir(&self.output)?.next().is_some() {
            bail!(Error::Usage(format!(
                "{}: the folder is not empty",
                self.output.display()
            )));
        }
        let progress = Progress::spinner("extracting");
        let extracted = match self.format.map(Target::from) {
            Some(target) if !matches!(target, Target::Raw | Target::StreamOptimized) => {
                self.convert(target)?
            }
            Some(Target::Raw) => match self.take(true) {
                // A VMDK whose directory stands at its head, as QEMU writes it, cannot be inflated as it comes.
                Err(error) if is_unsupported(&error) && Location::of(&self.package)?.local().is_ok() => {
                    self.convert(Target::Raw)?
                }
                taken => taken?,
            },
            _ => self.take(false)?,
        };
        progress.finish();
        if json {
            let files = extracted
                .iter()
                .map(|it| json!({ "path": it.path, "bytes": it.bytes }));
            report::print_json(&json!({ "extracted": files.collect::<Vec<_>>() }))?;
        } else {
            for file in &extracted {
                report::print(&format!(
                    "{}  {}\n",
                    file.path.display(),
                    report::size(file.bytes)
                ))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// In the pass that verifies.
    fn take(&self, raw: bool) -> anyhow::Result<Vec<Extracted>> {
        let (location, mut source) = self.access.open(&self.package, Reading::Whole)?;
        let mut extraction = Extraction::new(match &self.disk {
            None => Wanted::Members(self.output.clone()),
            Some(which) => Wanted::Disk {
                which: which.clone(),
                raw,
                output: self.output.clone(),
            },
        });
        let verdict = judge_taking(&location, &mut source, &self.trust.policy()?, &mut extraction)?;
        match extraction.failure() {
            // A disk that is damaged is the package's fault, and not that of a file or program here.
            Some(Error::Image(error)) if !matches!(error.kind(), Kind::Io | Kind::Unsupported) => {
                return Err(Error::Refused(format!("{location}: {error}")).into());
            }
            Some(failure) => return Err(failure.into()),
            None => {}
        }
        accepted(&location, &verdict)?;
        Ok(extraction.commit()?)
    }

    /// After the verdict, from the member where it lies: no copy of the disk is made on the way.
    fn convert(&self, target: Target) -> anyhow::Result<Vec<Extracted>> {
        let location = Location::of(&self.package)?;
        let path = location.local()?;
        let mut extraction = Extraction::new(Wanted::Place(self.disk.clone().unwrap_or_default()));
        let verdict = judge_taking(
            &location,
            &mut Source::open(path)?,
            &self.trust.policy()?,
            &mut extraction,
        )?;
        if let Some(failure) = extraction.failure() {
            return Err(failure.into());
        }
        accepted(&location, &verdict)?;
        let Some((member, capacity)) = extraction.place() else {
            bail!(Error::Refused("the package has no descriptor".to_owned()));
        };
        let (file, offset, length) = place_of(path, member)?;
        let disk = vmdk::Disk::open(Section::open(&file, offset, length)?, capacity)?;
        let options = Options {
            target,
            level: Level::Default,
            threads: cores(),
            file_name: "disk.vmdk".to_owned(),
        };
        let mut output = Output::create(&self.output)?;
        convert(&disk, output.file(), &options, &mut |_| {})?;
        let bytes = output.file().metadata()?.len();
        output.commit()?;
        Ok(vec![Extracted {
            path: self.output.clone(),
            bytes,
        }])
    }
}

fn is_unsupported(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Error::Image(error)) if error.kind() == Kind::Unsupported)
}

/// The file that holds a member's bytes, and where.
fn place_of(package: &Path, member: &str) -> anyhow::Result<(PathBuf, u64, u64)> {
    let source = Source::open(package)?;
    let archive = source.is_archive();
    let index = Index::read(source)?;
    let found = index.members().iter().find(|info| info.name.as_str() == member);
    let Some(info) = found else {
        bail!(Error::Refused(format!("{member} is not in the package")));
    };
    if archive {
        return Ok((package.to_owned(), info.offset, info.size));
    }
    let folder = package.parent().unwrap_or(Path::new("."));
    Ok((info.name.under(folder), 0, info.size))
}
