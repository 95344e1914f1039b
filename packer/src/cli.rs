//! The command line's shape.

use clap::{Parser, Subcommand};

use crate::command::{
    build, completions, deploy, disk, export, extract, inspect, keygen, lock, man, pack, run, sign, targets,
    validate, verify,
};

/// Build, check, sign and run OVF/OVA virtual appliances.
#[derive(Debug, Parser)]
#[command(name = "ova", version, propagate_version = true, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Print results, and errors, as JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "\
First steps:
  ova keygen keys                              keys for development
  ova build appliance.toml -o node.ova --sign keys/key.pem --cert keys/cert.pem
  ova validate node.ova                        what is wrong, by which rule, and what to do
  ova verify node.ova --trust keys/ca.pem      digests, signature, chain
  ova sign other.ova --key keys/key.pem --cert keys/cert.pem
  ova run node.ova --forward 8443:443          boot it here, in QEMU
  ova deploy node.ova qemu:///system           import it into libvirt
  ova export qemu:///system/node -o node.ova   and take it out again

Exit codes:
  0  done
  1  the package or the target was refused
  2  wrong usage, or a file or program failed";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Build(build::Arguments),
    Pack(Box<pack::Arguments>),
    Sign(sign::Arguments),
    Validate(validate::Arguments),
    Verify(Box<verify::Arguments>),
    Inspect(inspect::Arguments),
    Extract(Box<extract::Arguments>),
    Disk(disk::Arguments),
    Run(Box<run::Arguments>),
    Deploy(Box<deploy::Arguments>),
    Export(Box<export::Arguments>),
    Targets(targets::Arguments),
    Keygen(keygen::Arguments),
    Lock(lock::Arguments),
    Completions(completions::Arguments),
    Man(man::Arguments),
}
