//! `ova`: builds, checks, signs and runs OVF/OVA virtual appliances.
#![forbid(unsafe_code)]

mod access;
mod cli;
mod command;
mod findings;
mod interruption;
mod progress;
mod report;
mod signer;
mod target;
mod trust;
mod values;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let json = cli.json;
    match command::run(cli) {
        Ok(code) => code,
        Err(error) => report::failure(&error, json),
    }
}
