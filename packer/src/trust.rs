//! The arguments by which a verb decides whether to believe a package.

use std::path::{Path, PathBuf};

use clap::Args;
use ovf::certificate::TrustRoots;
use ovf::package::Source;
use ovf::verify::{Policy, Verdict, verify};
use packer::location::Location;
use time::OffsetDateTime;

#[derive(Debug, Args)]
pub(crate) struct Trust {
    /// Certificates to trust (PEM or DER): authorities, or a publisher's own; a signature that leads to one is required
    #[arg(long, value_name = "CA.pem")]
    trust: Vec<PathBuf>,
    /// Refuse an unsigned package even where nobody is trusted by name
    #[arg(long)]
    require_signature: bool,
}

/// A file of trusted certificates is at most this long.
const MAX_ROOTS_BYTES: u64 = 16 << 20;

impl Trust {
    fn policy(&self) -> anyhow::Result<Policy> {
        let mut roots = TrustRoots::default();
        for path in &self.trust {
            let bytes = packer::input::read_bounded(path, MAX_ROOTS_BYTES)?;
            roots.extend(TrustRoots::parse(&bytes).map_err(|error| error.in_member(path.display()))?);
        }
        let mut policy = Policy::at(OffsetDateTime::now_utc().unix_timestamp());
        if !roots.is_empty() {
            policy = policy.trusting(roots);
        }
        policy.require_signature |= self.require_signature;
        Ok(policy)
    }

    /// Whether the signer has to lead to a trusted certificate.
    pub(crate) fn names_roots(&self) -> bool {
        !self.trust.is_empty()
    }

    pub(crate) fn verdict(&self, source: &mut Source) -> anyhow::Result<Verdict> {
        Ok(verify(source, &self.policy()?))
    }

    /// Verifies a package before something is done with it.
    pub(crate) fn require_accepted(&self, package: &Path) -> anyhow::Result<()> {
        // What is verified here is opened again: it must be a file.
        let package = Location::of(package)?;
        let verdict = self.verdict(&mut Source::open(package.local()?)?)?;
        if verdict.is_accepted() {
            return Ok(());
        }
        let failures = verdict.failures().map(|check| {
            let member = check
                .member
                .as_deref()
                .map(|member| format!("{member}: "))
                .unwrap_or_default();
            format!("{}: {member}{}", check.code, check.reason)
        });
        let failures: Vec<String> = failures.collect();
        Err(packer::Error::Refused(format!("{package}: {}", failures.join("; "))).into())
    }
}
