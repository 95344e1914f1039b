//! The arguments by which a verb gives a package's properties their values.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use ovf::descriptor::Descriptor;
use packer::deployment::{self, Given};

#[derive(Debug, Args)]
pub(crate) struct Values {
    /// Set a property
    #[arg(long = "prop", value_name = "KEY=VALUE")]
    properties: Vec<Given>,
    /// Set properties from a file of KEY=VALUE lines; the place for passwords
    #[arg(long, value_name = "FILE")]
    prop_file: Vec<PathBuf>,
}

impl Values {
    /// What was given on the command line, in files, and at the prompt for secrets that nothing else gives.
    pub(crate) fn given(&self, descriptor: &Descriptor) -> anyhow::Result<Vec<Given>> {
        let secrets = deployment::secrets(descriptor);
        if let Some(secret) = self.properties.iter().find(|given| secrets.contains(&given.key)) {
            bail!(packer::Error::Usage(format!(
                "'{}' is a password: a command line is seen by every user of this machine; put it into a file for \
                 --prop-file",
                secret.key
            )));
        }
        let mut given = Vec::new();
        for file in &self.prop_file {
            given.extend(deployment::read_file(file)?);
        }
        given.extend(self.properties.iter().cloned());
        for key in secrets {
            let known = given.iter().any(|given| given.key == key);
            if !known && std::io::stdin().is_terminal() {
                let value =
                    rpassword::prompt_password(format!("{key}: ")).context("a password from the terminal")?;
                given.push(Given { key, value });
            }
        }
        Ok(given)
    }
}
