use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use image::convert::{Options, Target, convert};
use image::vmdk::{self, Level};
use ovf::package::{Index, Source};
use packer::Error;
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
        let policy = self.trust.policy()?;
        let progress = Progress::spinner("extracting");
        let (location, mut source) = self.access.open(&self.package, Reading::Whole)?;
        let target = self.format.map(Target::from);
        let late = target.filter(|target| !matches!(target, Target::Raw | Target::StreamOptimized));
        let mut extraction = Extraction::new(match (&self.disk, late) {
            (None, _) => Wanted::Members(self.output.clone()),
            (Some(which), Some(_)) => {
                location.local()?;
                Wanted::Place(which.clone())
            }
            (Some(which), None) => Wanted::Disk {
                which: which.clone(),
                raw: target == Some(Target::Raw),
                output: self.output.clone(),
            },
        });
        let verdict = judge_taking(&location, &mut source, &policy, &mut extraction)?;
        if let Some(failure) = extraction.failure() {
            return Err(failure.into());
        }
        accepted(&location, &verdict)?;
        let extracted = match (late, extraction.place()) {
            (Some(target), Some((member, capacity))) => {
                vec![self.convert(&location, member, capacity, target)?]
            }
            _ => extraction.commit()?,
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

    /// From the member where it lies: no copy of the disk is made on the way.
    fn convert(
        &self,
        package: &Location,
        member: &str,
        capacity: u64,
        target: Target,
    ) -> anyhow::Result<Extracted> {
        let path = package.local()?;
        let (file, offset, length) = place_of(path, member)?;
        let disk = vmdk::Disk::open(Section::open(&file, offset, length)?, capacity)?;
        let options = Options {
            target,
            level: Level::Default,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            file_name: "disk.vmdk".to_owned(),
        };
        let mut output = Output::create(&self.output)?;
        convert(&disk, output.file(), &options, &mut |_| {})?;
        let bytes = output.file().metadata()?.len();
        output.commit()?;
        Ok(Extracted {
            path: self.output.clone(),
            bytes,
        })
    }
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
