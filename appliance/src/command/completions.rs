//! `vcc completions`.

use clap::{Args, CommandFactory as _};

use super::Cli;
use crate::admin::{Result, print};

/// Print completions for a shell
///
/// For bash: vcc completions bash > ~/.local/share/bash-completion/completions/vcc
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: clap_complete::Shell,
}

impl Arguments {
    pub(super) async fn run(self) -> Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "vcc", &mut text);
        print(&String::from_utf8_lossy(&text))
    }
}
