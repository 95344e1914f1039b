use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use packer::Recipe;
use packer::debian::{self, TOOLS};
use serde_json::json;

use crate::report;

/// Lock the Debian packages that a recipe is made from
///
/// Asks this machine's apt (Debian 12, after `apt-get update`) for the current version and digest of each package and
/// writes the recipe's lock file. Later builds use exactly those.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The recipe
    recipe: PathBuf,
}

impl Arguments {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<ExitCode> {
        let (recipe, lock_file) = Recipe::open_for_lock(&self.recipe)?;
        let kernels = recipe
            .disk
            .iter()
            .filter_map(|disk| disk.boot.as_ref())
            .map(|boot| boot.kernel.get_ref());
        let mut names: Vec<&str> = kernels
            .map(String::as_str)
            .chain(TOOLS.iter().map(|tool| tool.name))
            .collect();
        names.sort_unstable();
        names.dedup();
        let lock = debian::resolve(&names)?;
        packer::output::write_whole(&lock_file, lock.render().as_bytes())?;
        if json {
            let packages: Vec<_> = lock
                .package
                .iter()
                .map(|p| json!({ "name": p.name, "version": p.version }))
                .collect();
            report::print_json(&json!({ "lock": lock_file, "packages": packages }))?;
        } else {
            for package in &lock.package {
                report::print(&format!("{} {}\n", package.name, package.version))?;
            }
            report::print(&format!("written: {}\n", lock_file.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
