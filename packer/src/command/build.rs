use std::io::{IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use packer::Recipe;
use packer::build::{Pass, Plan, Step};
use serde_json::json;

use crate::command::disk::Effort;
use crate::progress::Progress;
use crate::report;
use crate::signer::Signing;

/// Build an OVA from a recipe
///
/// Everything is checked first; then descriptor, manifest, certificate and disks are written in one pass. The package
/// appears under its name only when it is complete. Beside it comes a bill of materials (OUT.cdx.json, CycloneDX).
/// The same inputs give the same bytes. docs/recipe.md describes recipes. To a pipe every disk is compressed twice, for its
/// size goes before it, and there is no bill of materials.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The recipe (TOML)
    recipe: PathBuf,
    /// The package to write, or `-` for a pipe
    #[arg(short, long, value_name = "OUT.ova")]
    output: PathBuf,
    #[command(flatten)]
    signing: Signing,
    /// How hard to compress disks
    #[arg(long, value_enum, default_value_t = Effort::Default)]
    level: Effort,
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let output = self.output.clone();
        beside(&output, json, self.build(json))
    }

    fn build(self, json: bool) -> anyhow::Result<ExitCode> {
        let signer = self.signing.signer()?;
        let recipe = Recipe::open(&self.recipe)?;
        let progress = Progress::new("gathering Debian packages, making disks", json);
        let plan = Plan::new(&recipe, signer)?.at_level(self.level.into());
        progress.finish();
        write(&plan, &self.output, json)
    }
}

/// Where the package goes to standard output, an error must not.
pub(super) fn beside(
    output: &Path,
    json: bool,
    outcome: anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    match outcome {
        Err(error) if output == Path::new("-") => Ok(report::failure_beside(&error, json)),
        outcome => outcome,
    }
}

/// Writes a package, and tells of it.
pub(super) fn write(plan: &Plan<'_>, output: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let piped = output == Path::new("-");
    if piped && std::io::stdout().is_terminal() {
        bail!(packer::Error::Usage(
            "a package isn't for a terminal: give a file, or a pipe".to_owned()
        ));
    }
    if piped && !json {
        let note = "a pipe: disks are compressed twice, the first time for their sizes";
        writeln!(anstream::stderr(), "{note}")?;
    }
    let progress = Progress::new("packing", json);
    let mut step = |step: Step<'_>| {
        let doing = match step.pass {
            Pass::Only | Pass::Second => "packing",
            Pass::First => "measuring",
        };
        progress.say(&format!("{doing} {}", step.disk));
        progress.set(step.done, step.total);
    };
    let built = if piped {
        let pipe = std::io::stdout().as_fd().try_clone_to_owned()?;
        plan.write_to_pipe(std::fs::File::from(pipe), &mut step)?
    } else {
        plan.write(output, &mut step)?
    };
    progress.finish();
    // Where the package goes to standard output, nothing else may.
    let tell = |text: &str| match piped {
        true => write!(anstream::stderr(), "{text}"),
        false => report::print(text),
    };
    if json {
        let told = json!({
            "package": output,
            "bytes": built.bytes,
            "signed": built.signed,
            "bill_of_materials": built.bill_of_materials,
            "members": built.members.iter().map(|m| json!({ "name": m.name, "bytes": m.bytes })).collect::<Vec<_>>(),
        });
        tell(&format!("{told:#}\n"))?;
    } else {
        let signed = if built.signed { "signed" } else { "not signed" };
        let mut text = format!("{}  {} ({signed})\n", output.display(), report::size(built.bytes));
        if let Some(path) = &built.bill_of_materials {
            text.push_str(&format!("{}  bill of materials\n", path.display()));
        }
        tell(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}
