use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use packer::Recipe;
use packer::build::{Plan, Step};
use serde_json::json;

use crate::command::disk::Effort;
use crate::progress::Progress;
use crate::report;
use crate::signer::SignerArguments;

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
    /// Sign with this RSA private key (PEM): PKCS#8, plain or encrypted, or PKCS#1
    #[arg(
        long,
        value_name = "KEY.pem",
        requires = "cert",
        conflicts_with = "sign_command"
    )]
    #[arg(help_heading = "Signing")]
    sign: Option<PathBuf>,
    #[command(flatten)]
    signer: SignerArguments,
    /// How hard to compress disks
    #[arg(long, value_enum, default_value_t = Effort::Default)]
    level: Effort,
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let signer = self.signer.open(self.sign.as_deref())?;
        let recipe = Recipe::open(&self.recipe)?;
        let progress = Progress::new("gathering Debian packages, making disks", json);
        let plan = Plan::new(&recipe, signer)?.at_level(self.level.into());
        progress.finish();
        write(&plan, &self.output, json)
    }
}

/// Writes a package, and tells of it.
pub(super) fn write(plan: &Plan<'_>, output: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let progress = Progress::new("packing", json);
    let built = plan.write(output, &mut |step: Step<'_>| {
        progress.say(&format!("packing {}", step.disk));
        progress.set(step.done, step.total);
    })?;
    progress.finish();
    if json {
        report::print_json(&json!({
            "package": output,
            "bytes": built.bytes,
            "signed": built.signed,
            "bill_of_materials": built.bill_of_materials,
            "members": built.members.iter().map(|m| json!({ "name": m.name, "bytes": m.bytes })).collect::<Vec<_>>(),
        }))?;
    } else {
        let signed = if built.signed { "signed" } else { "not signed" };
        let mut text = format!("{}  {} ({signed})\n", output.display(), report::size(built.bytes));
        if let Some(path) = &built.bill_of_materials {
            text.push_str(&format!("{}  bill of materials\n", path.display()));
        }
        report::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
