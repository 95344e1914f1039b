use std::process::ExitCode;

use clap::{Args, CommandFactory as _};

use crate::cli::Cli;

/// Print completions for a shell
///
/// For bash: ova completions bash > ~/.local/share/bash-completion/completions/ova
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        clap_complete::generate(self.shell, &mut Cli::command(), "ova", &mut std::io::stdout());
        Ok(ExitCode::SUCCESS)
    }
}
