use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use ovf::manifest::DigestAlgorithm;
use ovf::verify::SignerSummary;
use packer::sign::{Seal, Signed};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::progress::Progress;
use crate::report::{self, printable};
use crate::signer::SignerArguments;

/// Sign a package: a new manifest over every file, and the publisher's signature over the manifest
///
/// Disks stay as they are, byte for byte. An archive is written anew in the standard's order; in a folder the two files
/// appear beside the descriptor. What comes out is whole or not there at all, and verified before it is written. The
/// passphrase of an encrypted key is asked for on a terminal, and never taken from the command line.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// An OVA, or a descriptor beside its files
    package: PathBuf,
    /// Where the signed package goes: an archive (.ova), or for a descriptor a new folder; in place if not given
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Sign with this RSA private key (PEM): PKCS#8, plain or encrypted, or PKCS#1
    #[arg(
        long,
        value_name = "KEY.pem",
        requires = "cert",
        required_unless_present = "sign_command"
    )]
    #[arg(conflicts_with = "sign_command", help_heading = "Signing")]
    key: Option<PathBuf>,
    #[command(flatten)]
    signer: SignerArguments,
    /// The digest of the manifest's lines and of the signature: sha256, sha384, sha512
    #[arg(long, default_value = "sha256", value_parser = packer::policy::strong_digest)]
    digest: DigestAlgorithm,
    /// Replace the signature of a package that is signed already
    #[arg(long)]
    replace: bool,
}

const EXAMPLES: &str = "\
Examples:
  ova sign node.ova --key key.pem --cert chain.pem
  ova sign node.ova -o signed.ova --key key.pem --cert chain.pem --passphrase-env KEY_PASSPHRASE
  ova sign folder/node.ovf -o node.ova --cert chain.pem \\
      --sign-command 'openssl dgst -sha256 -engine pkcs11 -keyform engine -sign pkcs11:object=release'";

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let signer = self.signer.open(self.key.as_deref())?;
        let signer = signer.ok_or_else(|| packer::Error::Usage("a signature needs a key".to_owned()))?;
        let signer = signer.with_algorithm(self.digest)?;
        let summary = SignerSummary::from(signer.certificate());
        let seal = Seal {
            signer: &signer,
            digest: self.digest,
            replace: self.replace,
        };
        let progress = Progress::new("signing", json);
        let interrupted = interruption()?;
        let signed = seal.apply(&self.package, self.output.as_deref(), &mut |done, total| {
            progress.set(done, total);
            match interrupted.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        progress.finish();
        if json {
            report::print_json(&describe(&signed, &summary, self.digest))?;
        } else {
            report::print(&tell(&signed, &summary, self.digest))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Becomes true at the first signal to end, so that a copy that is half made is removed; the second ends at once.
fn interruption() -> std::io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 2, Arc::clone(&flag))?;
        signal_hook::flag::register(signal, Arc::clone(&flag))?;
    }
    Ok(flag)
}

fn describe(signed: &Signed, signer: &SignerSummary, digest: DigestAlgorithm) -> serde_json::Value {
    let covered = signed.covered.iter().map(|member| {
        json!({
            "name": member.name.as_str(),
            "bytes": member.bytes,
            "digest": member.digest.to_string(),
            "changed": member.changed,
        })
    });
    json!({
        "package": signed.package,
        "digest": digest.option_name(),
        "signer": signer,
        "members": covered.collect::<Vec<_>>(),
    })
}

fn tell(signed: &Signed, signer: &SignerSummary, digest: DigestAlgorithm) -> String {
    let mut text = String::new();
    for member in signed.covered.iter().filter(|member| member.changed) {
        text.push_str(&format!("changed since the old manifest: {}\n", member.name));
    }
    let (path, count) = (signed.package.display(), signed.covered.len());
    text.push_str(&format!(
        "{path}  signed by {}; {} covers {count} files\n",
        printable(&signer.subject),
        digest.name(),
    ));
    text
}
