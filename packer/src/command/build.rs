use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use packer::Recipe;
use packer::build::{Plan, Step, open_signer};
use serde_json::json;

use crate::progress::Progress;
use crate::report;

/// Build an OVA from a recipe
///
/// Everything is checked first; then descriptor, manifest, certificate and disks are written in one pass. The package
/// appears under its name only when it is complete. Beside it comes a bill of materials (OUT.cdx.json, CycloneDX).
/// The same inputs give the same bytes. docs/recipe.md describes recipes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The recipe (TOML)
    recipe: PathBuf,
    /// The package to write
    #[arg(short, long, value_name = "OUT.ova")]
    output: PathBuf,
    /// Sign with this RSA private key (PEM, PKCS#8 or PKCS#1); the passphrase of an encrypted one is asked for
    #[arg(long, value_name = "KEY.pem", requires = "cert")]
    sign: Option<PathBuf>,
    /// The signer's certificate (PEM), then the certificates that issued it, if any
    #[arg(long, value_name = "CERT.pem", requires = "sign")]
    cert: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let signer = match self.sign.as_deref().zip(self.cert.as_deref()) {
            Some((key, certificates)) => Some(open_signer(key, certificates, || passphrase(key))?),
            None => None,
        };
        let recipe = Recipe::open(&self.recipe)?;
        let progress = Progress::spinner("gathering Debian packages, making disks");
        let plan = Plan::new(&recipe, signer)?;
        progress.finish();
        let progress = Progress::bytes("packing");
        let built = plan.write(&self.output, &mut |step: Step<'_>| {
            progress.say(step.disk);
            progress.set(step.done, step.total);
        })?;
        progress.finish();
        if json {
            report::print_json(&json!({
                "package": self.output,
                "bytes": built.bytes,
                "signed": built.signed,
                "bill_of_materials": built.bill_of_materials,
                "members": built.members.iter().map(|m| json!({ "name": m.name, "bytes": m.bytes })).collect::<Vec<_>>(),
            }))?;
        } else {
            let signed = if built.signed { "signed" } else { "not signed" };
            let (path, bom) = (self.output.display(), built.bill_of_materials.display());
            report::print(&format!(
                "{path}  {} ({signed})\n{bom}  bill of materials\n",
                report::size(built.bytes),
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The passphrase of an encrypted key, where there is somebody to ask.
fn passphrase(key: &Path) -> Option<String> {
    let asked = std::io::stdin()
        .is_terminal()
        .then(|| rpassword::prompt_password(format!("{}: passphrase: ", key.display())));
    asked?.ok()
}
