use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use crate::cli::Cli;

/// Write the manual pages into a folder
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where ova.1 and a page per verb go
    folder: PathBuf,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        std::fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        clap_mangen::generate_to(Cli::command(), &self.folder)
            .with_context(|| self.folder.display().to_string())?;
        Ok(ExitCode::SUCCESS)
    }
}
