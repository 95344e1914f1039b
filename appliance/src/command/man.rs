//! `vcc man`.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};

use super::Cli;
use crate::admin::Result;
use crate::error::Error;

/// Write the manual pages into a folder
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where vcc.1 and a page per verb go
    folder: PathBuf,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let failed = |error| Error::file(&self.folder, "write", error);
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        Ok(clap_mangen::generate_to(Cli::command(), &self.folder).map_err(failed)?)
    }
}
