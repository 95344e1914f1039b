use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle_words::{bad, good};
use clap::Args;
use ovf::verify::{Outcome, Verdict};
use packer::location::{Location, Reading};

use crate::access::Access;
use crate::progress::Progress;
use crate::report::{self, printable};
use crate::trust::{Trust, judge};

/// Verify a package: digests, signature, and the signer's chain to a trusted certificate
///
/// Reads the package once and writes nothing. Each failed check is told with its rule and the member it concerns; exit code
/// 1 means refused. Without --trust the signature is checked against the certificate in the package, which tells that the
/// two belong together but not who made it. docs/verify.md lists the rules, the tolerances and the policy file's keys.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// An OVA, or a descriptor beside its files: a file, an http(s) URL, or `-` for an OVA from standard input
    package: PathBuf,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    access: Access,
    /// Tell of the checks that passed, too
    #[arg(short, long)]
    verbose: bool,
}

const EXAMPLES: &str = "\
Examples:
  ova verify node.ova --trust ca.pem
  ova verify node.ova --trust ca.pem --crl ca.crl --crl-max-age 7d --require-crl
  ova verify node.ova --policy release.toml --at 2026-07-01T00:00:00Z
  curl -s https://example.com/node.ova | ova verify - --trust ca.pem --strict";

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let policy = self.trust.policy()?;
        let progress = Progress::new("verifying", json);
        let (location, mut source) = self.access.open(&self.package, Reading::Whole, &progress)?;
        let verdict = judge(&location, &mut source, &policy)?;
        progress.finish();
        if json {
            report::print_json(&serde_json::to_value(&verdict)?)?;
        } else {
            report::print(&self.describe(&verdict, &location, !policy.trust().is_empty()))?;
        }
        // A package that can't be read to its end isn't bad, nor is it good.
        let unread = verdict.failures().any(|check| check.code == ovf::Kind::Io.code());
        Ok(match (verdict.is_accepted(), unread) {
            (true, _) => ExitCode::SUCCESS,
            (false, false) => ExitCode::from(1),
            (false, true) => ExitCode::from(2),
        })
    }

    fn describe(&self, verdict: &Verdict, location: &Location, by_name: bool) -> String {
        let mut text = String::new();
        for check in verdict.checks() {
            let word = match check.outcome {
                Outcome::Failed => bad("refused"),
                // What was let pass is told to whoever asked for less than everything, too.
                Outcome::Tolerated => "let pass".to_owned(),
                Outcome::Ok if self.verbose => good("ok"),
                Outcome::Skipped if self.verbose => "skipped".to_owned(),
                _ => continue,
            };
            let member = check
                .member
                .as_deref()
                .map(|member| format!("{member}: "))
                .unwrap_or_default();
            // Writing to a String can't fail.
            let _ = writeln!(
                text,
                "{word}  {}  {member}{}",
                check.code,
                printable(&check.reason)
            );
        }
        let accepted = verdict.is_accepted();
        let signer = verdict.signer();
        if let Some(signer) = signer {
            let _ = writeln!(
                text,
                "signer    {}\nissuer    {}\nSHA-256   {}\nkey       sha256:{}",
                printable(&signer.subject),
                printable(&signer.issuer),
                signer.fingerprint,
                signer.key_fingerprint
            );
        }
        let sense = match (accepted, signer.is_some(), by_name) {
            (false, ..) => bad("REFUSED"),
            (true, true, true) => good("accepted: whole, and signed by a trusted publisher"),
            (true, true, false) => format!(
                "{}; who the signer is was not checked (--trust)",
                good("accepted: whole")
            ),
            (true, false, _) => format!("{}; it is not signed", good("accepted: whole")),
        };
        let _ = writeln!(text, "{location}  {sense}");
        text
    }
}

/// Words in the colours that terminals show; `anstream` leaves them out elsewhere.
mod anstyle_words {
    pub(super) fn bad(text: &str) -> String {
        format!("\x1b[1;31m{text}\x1b[0m")
    }

    pub(super) fn good(text: &str) -> String {
        format!("\x1b[1;32m{text}\x1b[0m")
    }
}
