//! The arguments by which a verb decides whether to believe a package.

use std::path::{Path, PathBuf};

use clap::Args;
use ovf::certificate::KeyPin;
use ovf::manifest::DigestAlgorithm;
use ovf::package::Source;
use ovf::verify::{Policy, Taker, Tolerance, Verdict, digests_named, verify_taking, verify_with};
use packer::location::{Location, Reading};
use packer::policy::{self, Age};
use packer::remote::Settings;
use time::OffsetDateTime;

use crate::progress::Progress;

/// The flags' group in help texts.
const HEADING: &str = "Trust";

#[derive(Debug, Args)]
pub(crate) struct Trust {
    /// Certificates to trust (PEM or DER): authorities, or a publisher's own; a signature that leads to one is required
    #[arg(help_heading = HEADING, long, value_name = "CA.pem")]
    trust: Vec<PathBuf>,
    /// A key that must be on the signer's path: SHA-256 of its SubjectPublicKeyInfo; without --trust it stands for a root
    #[arg(help_heading = HEADING, long, value_name = "SHA256", value_parser = pin)]
    pin: Vec<KeyPin>,
    /// A policy file (TOML, docs/verify.md); flags add to it, and win where they differ
    #[arg(help_heading = HEADING, long, value_name = "POLICY.toml")]
    policy: Option<PathBuf>,
    /// Refuse an unsigned package even where nobody is trusted by name
    #[arg(help_heading = HEADING, long)]
    require_signature: bool,
    /// Judge certificates and revocation lists at this time, not now, such as 2026-07-01T00:00:00Z
    #[arg(help_heading = HEADING, long, value_name = "TIME", value_parser = policy::unix_time)]
    at: Option<i64>,
    /// Revocation lists (PEM or DER) of the authorities on the signer's path
    #[arg(help_heading = HEADING, long, value_name = "CA.crl")]
    crl: Vec<PathBuf>,
    /// Refuse a revocation list older than this, such as 12h or 7d, though its next update isn't due
    #[arg(help_heading = HEADING, long, value_name = "AGE")]
    crl_max_age: Option<Age>,
    /// Refuse where no revocation list speaks of a certificate on the signer's path
    #[arg(help_heading = HEADING, long)]
    require_crl: bool,
    /// The least size of RSA keys [default: 2048]
    #[arg(help_heading = HEADING, long, value_name = "BITS", value_parser = key_bits)]
    min_key_bits: Option<usize>,
    /// The weakest digest of manifest and signature: sha256, sha384, sha512 [default: sha256]
    #[arg(help_heading = HEADING, long, value_name = "DIGEST", value_parser = policy::strong_digest)]
    min_digest: Option<DigestAlgorithm>,
    /// Let pass what breaks a rule by this name, such as sha1 (docs/verify.md has them all)
    #[arg(help_heading = HEADING, long, value_name = "NAME", value_parser = tolerances)]
    tolerate: Vec<Tolerances>,
    /// Let nothing pass: not even other spellings of manifest and certificate file
    #[arg(help_heading = HEADING, long, conflicts_with = "tolerate")]
    strict: bool,
}

/// What one name stands for.
type Tolerances = Box<[Tolerance]>;

fn tolerances(name: &str) -> Result<Tolerances, String> {
    policy::tolerances(name).map(Vec::into_boxed_slice)
}

fn pin(text: &str) -> Result<KeyPin, String> {
    KeyPin::parse(text).map_err(|error| error.reason().to_owned())
}

fn key_bits(text: &str) -> Result<usize, String> {
    policy::key_bits(text.parse().map_err(|error| format!("{error}"))?)
}

impl Trust {
    pub(crate) fn policy(&self) -> anyhow::Result<Policy> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let mut policy = match &self.policy {
            Some(path) => policy::open(path, now)?,
            None => Policy::at(now),
        };
        for path in &self.trust {
            policy.roots.extend(policy::read_roots(path)?);
        }
        for path in &self.crl {
            policy.revocation.lists.extend(policy::read_crls(path)?);
        }
        policy.pins.extend(self.pin.iter().cloned());
        policy.require_signature |= self.require_signature;
        policy.revocation.required |= self.require_crl;
        policy.now = self.at.unwrap_or(policy.now);
        policy.min_key_bits = self.min_key_bits.unwrap_or(policy.min_key_bits);
        policy.min_digest = self.min_digest.unwrap_or(policy.min_digest);
        if let Some(age) = self.crl_max_age {
            policy.revocation.max_age = Some(age.seconds());
        }
        if self.strict {
            policy.tolerances.clear();
        }
        let added = self.tolerate.iter().flat_map(|names| names.iter());
        policy.tolerances.extend(added);
        if !policy.revocation.is_empty() && policy.trust().is_empty() {
            let reason = "revocation lists are the word of a trusted authority: name it by --trust or --pin";
            return Err(packer::Error::Usage(reason.to_owned()).into());
        }
        Ok(policy)
    }

    /// Verifies a package before something is done with it.
    pub(crate) fn require_accepted(&self, package: &Path, progress: &Progress) -> anyhow::Result<()> {
        // What is verified here is opened again: it must be a file.
        let package = Location::of(package)?;
        package.local()?;
        let (mut source, length) = package.open_measured(Reading::Whole, &Settings::default())?;
        progress.watch(&mut source, length);
        let verdict = judge(&package, &mut source, &self.policy()?)?;
        accepted(&package, &verdict)
    }
}

/// A good verdict, or the refusal with every reason.
pub(crate) fn accepted(package: &Location, verdict: &Verdict) -> anyhow::Result<()> {
    if verdict.is_accepted() {
        return Ok(());
    }
    let failures = verdict.failures().map(|check| {
        let member = check.member.as_deref().map(|member| format!("{member}: "));
        format!("{}: {}{}", check.code, member.unwrap_or_default(), check.reason)
    });
    let failures: Vec<String> = failures.collect();
    Err(packer::Error::Refused(format!("{package}: {}", failures.join("; "))).into())
}

/// The verdict on a package that was opened.
pub(crate) fn judge(package: &Location, source: &mut Source, policy: &Policy) -> anyhow::Result<Verdict> {
    Ok(verify_with(source, policy, &digests(package, policy)?))
}

/// As [`judge`], handing the members to `taker` in the same pass.
pub(crate) fn judge_taking(
    package: &Location,
    source: &mut Source,
    policy: &Policy,
    taker: &mut dyn Taker,
) -> anyhow::Result<Verdict> {
    Ok(verify_taking(source, policy, &digests(package, policy)?, taker))
}

/// What to compute of files that stand before the manifest. A file can be looked into twice, which a pipe cannot: where its
/// manifest stands at the end, one digest is then enough.
fn digests(package: &Location, policy: &Policy) -> anyhow::Result<Vec<DigestAlgorithm>> {
    let file = package.local().ok();
    match file.filter(|path| path.metadata().is_ok_and(|it| it.is_file())) {
        Some(path) => {
            let mut source = Source::open(path)?;
            policy.tolerate_in(&mut source);
            Ok(digests_named(&mut source).unwrap_or_default())
        }
        None => Ok(policy.digests()),
    }
}
