use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use ovf::conformance::{Finding, Profile, Severity, examine, of_verdict, rule, rules};
use ovf::package::{Role, Source};
use ovf::verify::{Policy, verify};
use time::OffsetDateTime;

use crate::findings::{self, Report};
use crate::progress::Progress;
use crate::report;

/// Tell what is wrong with a descriptor or a package, by which rule, and what to do
///
/// A descriptor is examined alone: missing files don't matter, and a name that leads elsewhere is a warning. Of a package (an
/// archive, or a folder) the members are checked as well: digests, sizes, order, names. Who signed it is `ova verify`'s matter.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ova validate node.ovf                          the descriptor alone
  ova validate node.ova --profile esxi           the package, and what ESXi would refuse
  ova validate node.ovf --format sarif > x.sarif for a code-hosting site
  ova validate --explain disk.order              what a rule means

Exit codes: 0 nothing as bad as --fail-on, 1 something, 2 the input couldn't be read.")]
pub(crate) struct Arguments {
    /// A descriptor, a folder, an OVA, or `-` for a descriptor or OVA from standard input
    #[arg(required_unless_present_any = ["explain", "rules"])]
    input: Option<PathBuf>,
    /// Apply an importer's own rules as well
    #[arg(long, value_name = "IMPORTER", value_enum)]
    profile: Vec<Importer>,
    /// How to print findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Leave out what weighs less
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = Level::Note)]
    show: Level,
    /// The least that makes the exit code 1
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = Level::Error)]
    fail_on: Level,
    /// Tell what a rule demands, why and on whose word, with a bad and a good sample
    #[arg(long, value_name = "RULE", conflicts_with = "input")]
    explain: Option<String>,
    /// List every rule
    #[arg(long, conflicts_with_all = ["input", "explain"])]
    rules: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Importer {
    /// VMware ESXi, vCenter, ovftool
    Esxi,
    /// Oracle VirtualBox
    Virtualbox,
    /// libvirt, by virt-v2v
    Libvirt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// SARIF 2.1.0, for code-hosting sites
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Error,
    Warning,
    Note,
}

impl From<Importer> for Profile {
    fn from(importer: Importer) -> Self {
        match importer {
            Importer::Esxi => Self::Esxi,
            Importer::Virtualbox => Self::VirtualBox,
            Importer::Libvirt => Self::Libvirt,
        }
    }
}

impl From<Level> for Severity {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warning => Self::Warning,
            Level::Note => Self::Note,
        }
    }
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        if let Some(id) = &self.explain {
            let Some(rule) = rule(id) else {
                bail!(packer::Error::Usage(format!(
                    "there is no rule '{id}'; see: ova validate --rules"
                )));
            };
            return print_rules([rule].into_iter(), json);
        }
        let Some(input) = &self.input else {
            return print_rules(rules(), json);
        };
        let profiles: Vec<Profile> = self.profile.iter().map(|importer| (*importer).into()).collect();
        let progress = Progress::new("validating", json);
        let report = validate(input, &profiles)?;
        progress.finish();
        let code = match report.worst() {
            Some(worst) if worst >= self.fail_on.into() => ExitCode::from(1),
            _ => ExitCode::SUCCESS,
        };
        let report = report.at_least(self.show.into());
        match (self.format, json) {
            (Format::Sarif, _) => report::print_json(&report.to_sarif())?,
            (Format::Json, _) | (_, true) => report::print_json(&report.to_json())?,
            (Format::Text, false) => report::print(&report.to_text())?,
        }
        Ok(code)
    }
}

fn print_rules(
    rules: impl Iterator<Item = &'static ovf::conformance::Rule>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    if json {
        report::print_json(&rules.map(findings::rule_as_json).collect())?;
    } else {
        let texts: Vec<_> = rules.map(findings::rule_as_text).collect();
        report::print(&texts.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Longer than any descriptor with the header before it: what of a stream has to be kept to examine its descriptor.
const MAX_HEAD: u64 = (17 << 20) + 1;

fn validate(input: &Path, profiles: &[Profile]) -> anyhow::Result<Report> {
    if input.as_os_str() == "-" {
        return validate_stream(profiles);
    }
    if input.is_dir() {
        let descriptor = only_descriptor(input)?;
        return validate_package(&descriptor, profiles);
    }
    let mut file = std::fs::File::open(input).with_context(|| input.display().to_string())?;
    let mut start = [0; 512];
    let length = read_up_to(&mut file, &mut start).with_context(|| input.display().to_string())?;
    // Archives of tars that write no magic are told by their name.
    let named = input.extension().is_some_and(|it| it.eq_ignore_ascii_case("ova"));
    if named || is_archive(&start[..length]) {
        return validate_package(input, profiles);
    }
    let bytes = packer::input::read_bounded(input, MAX_HEAD)?;
    Ok(Report::new(input, None, examine(&bytes, profiles)))
}

/// A folder, or an archive that can be read twice.
fn validate_package(path: &Path, profiles: &[Profile]) -> anyhow::Result<Report> {
    let descriptor = descriptor_of(&mut Source::open(path)?)?;
    let verdict = verify(&mut Source::open(path)?, &policy());
    Ok(package_report(path, descriptor, &verdict, profiles))
}

/// Reads the stream once: what the descriptor needs is kept on the way.
fn validate_stream(profiles: &[Profile]) -> anyhow::Result<Report> {
    let mut head = Vec::new();
    let name = Path::new("(standard input)");
    let mut input = std::io::stdin();
    input
        .by_ref()
        .take(MAX_HEAD)
        .read_to_end(&mut head)
        .context("standard input")?;
    if !is_archive(&head) {
        return Ok(Report::new(name, None, examine(&head, profiles)));
    }
    let descriptor = descriptor_of(&mut Source::stream(std::io::Cursor::new(head.clone())))?;
    let verdict = verify(
        &mut Source::stream(std::io::Cursor::new(head).chain(input)),
        &policy(),
    );
    Ok(package_report(name, descriptor, &verdict, profiles))
}

fn package_report(
    path: &Path,
    descriptor: Option<(String, Vec<u8>)>,
    verdict: &ovf::verify::Verdict,
    profiles: &[Profile],
) -> Report {
    let (member, bytes) = descriptor.unzip();
    let mut findings: Vec<Finding> = bytes.map(|bytes| examine(&bytes, profiles)).unwrap_or_default();
    findings.extend(of_verdict(verdict));
    Report::new(path, member, findings)
}

/// Nobody is trusted, nothing has to be there that the standard does not demand, and nothing is let pass.
fn policy() -> Policy {
    let mut policy = Policy::at(OffsetDateTime::now_utc().unix_timestamp());
    policy.require_manifest = false;
    policy.tolerances.clear();
    policy
}

/// The descriptor's name and bytes; none where the package does not begin with one, which its verdict tells.
fn descriptor_of(source: &mut Source) -> anyhow::Result<Option<(String, Vec<u8>)>> {
    match source.next_member() {
        Ok(Some(mut member)) if member.role() == Role::Descriptor => {
            let name = member.name().to_string();
            Ok(member.read_all().ok().map(|bytes| (name, bytes)))
        }
        Err(error) if error.kind() == ovf::Kind::Io => Err(error.into()),
        _ => Ok(None),
    }
}

fn only_descriptor(folder: &Path) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut descriptors: Vec<_> = paths.filter(|path| Source::is_descriptor(path)).collect();
    match (descriptors.pop(), descriptors.pop()) {
        (Some(descriptor), None) => Ok(descriptor),
        (None, _) => bail!(packer::Error::Usage(format!(
            "{}: there is no descriptor (*.ovf)",
            folder.display()
        ))),
        _ => bail!(packer::Error::Usage(format!(
            "{}: there is more than one descriptor; name one",
            folder.display()
        ))),
    }
}

fn read_up_to(file: &mut impl std::io::Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Whether these are the first bytes of a tar archive (the magic of POSIX and GNU alike).
fn is_archive(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
}
