//! One file per verb.

pub(crate) mod build;
pub(crate) mod completions;
pub(crate) mod deploy;
pub(crate) mod disk;
pub(crate) mod export;
pub(crate) mod extract;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod lock;
pub(crate) mod man;
pub(crate) mod pack;
pub(crate) mod run;
pub(crate) mod sign;
pub(crate) mod targets;
pub(crate) mod validate;
pub(crate) mod verify;

use std::process::ExitCode;

use crate::cli::{Cli, Verb};

/// Runs the verb; the code is 0 for done, 1 for refused.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let json = cli.json;
    // Those end on their own terms.
    if !matches!(cli.verb, Verb::Run(_) | Verb::Sign(_) | Verb::Deploy(_)) {
        crate::interruption::clean_up()?;
    }
    match cli.verb {
        Verb::Build(arguments) => arguments.run(json),
        Verb::Pack(arguments) => arguments.run(json),
        Verb::Sign(arguments) => arguments.run(json),
        Verb::Validate(arguments) => arguments.run(json),
        Verb::Verify(arguments) => arguments.run(json),
        Verb::Inspect(arguments) => arguments.run(json),
        Verb::Extract(arguments) => arguments.run(json),
        Verb::Disk(arguments) => arguments.run(json),
        Verb::Run(arguments) => arguments.run(json),
        Verb::Deploy(arguments) => arguments.run(json),
        Verb::Export(arguments) => arguments.run(json),
        Verb::Targets(arguments) => arguments.run(json),
        Verb::Keygen(arguments) => arguments.run(json),
        Verb::Lock(arguments) => arguments.run(json),
        Verb::Completions(arguments) => arguments.run(),
        Verb::Man(arguments) => arguments.run(),
    }
}
