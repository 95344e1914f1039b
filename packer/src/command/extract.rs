use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use image::convert::{Options, Target, convert};
use image::error::Kind;
use packer::Error;
use packer::build::cores;
use packer::extract::{Extracted, Extraction, Wanted, place};
use packer::location::{Location, Reading};
use packer::opened::{JudgedDescriptor, Opened};
use packer::output::Output;
use serde_json::json;

use super::disk::{Effort, OutputFormat};
use crate::access::Access;
use crate::progress::Progress;
use crate::report;
use crate::trust::{Trust, accepted, judge_taking};

/// Take members or a disk out of a package, verified in the same pass
///
/// The package is read once: what is read is digested, inflated and written at once, and gets its name only on a good
/// verdict. From a pipe or a server, too. A disk that can't be read front to back (anything but a streamOptimized VMDK) is
/// converted after the verdict, from a package that is a file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ova extract node.ova -o folder --trust ca.pem            every member
  ova extract node.ova --disk 1 --format raw -o disk.raw   a disk, inflated
  ova extract node.ova --disk 1 --format qcow2 -o disk.qcow2
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
    /// How hard to compress, where the format does
    #[arg(long, value_enum, default_value_t = Effort::Default, requires = "format")]
    level: Effort,
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
        let progress = Progress::new("extracting", json);
        let options = self.format.map(|format| Options {
            target: Target::from(format),
            level: self.level.into(),
            threads: cores(),
            file_name: "disk.vmdk".to_owned(),
        });
        let extracted = match (self.take(options.as_ref(), &progress), options) {
            (Err(error), Some(options)) if is_unsupported(&error) => {
                let location = Location::of(&self.package)?;
                // What comes once only, such as a pipe, has come.
                let Some(path) = location.local().ok().filter(|path| path.is_file()) else {
                    return Err(error);
                };
                self.convert(&location, path, &options, &progress)?
            }
            (taken, _) => taken?,
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
    fn take(&self, options: Option<&Options>, progress: &Progress) -> anyhow::Result<Vec<Extracted>> {
        let (location, mut source) = self.access.open(&self.package, Reading::Whole, progress)?;
        let mut extraction = Extraction::new(match &self.disk {
            None => Wanted::Members(self.output.clone()),
            Some(which) => Wanted::Disk {
                which: which.clone(),
                options: options.cloned(),
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
    fn convert(
        &self,
        location: &Location,
        path: &Path,
        options: &Options,
        progress: &Progress,
    ) -> anyhow::Result<Vec<Extracted>> {
        let (package, policy) = (Opened::new(path)?, self.trust.policy()?);
        let mut judged = JudgedDescriptor::default();
        let mut source = package.source()?;
        progress.watch(&mut source, package.length());
        let verdict = judge_taking(location, &mut source, &policy, &mut judged)?;
        accepted(location, &verdict)?;
        let which = self.disk.as_deref().unwrap_or_default();
        let (member, capacity) = place(&package, &judged.parse()?, which, &policy)?;
        let disk = image::open::inside(member, capacity)?;
        let mut output = Output::create_deep(&self.output)?;
        progress.say("converting");
        convert(&disk, output.file(), options, &mut |at| {
            progress.set(at.done, at.total)
        })?;
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
