//! What a set-up changes about the machine: files on the state disk, kept before the set-up is committed and taken back where
//! that fails. A crash in between leaves a connector that is not set up.

use std::path::Path;

use serde_json::Value;

use crate::addressing::{Addressing, kept as network};
use crate::error::Error;
use crate::http::problem::Problem;
use crate::log;
use crate::role::{Role, kept as role};
use crate::service::Context;

/// What somebody wants, and where it is kept.
pub(super) struct Wishes<'a> {
    root: &'a Path,
    network: Option<Addressing>,
    role: Option<Role>,
}

/// What was kept before; of what is not wished for, nothing.
pub(super) struct Former<'a> {
    root: &'a Path,
    network: Option<Option<Addressing>>,
    role: Option<Option<Role>>,
}

impl<'a> Wishes<'a> {
    /// Takes what can be had here; none where nothing is to be changed.
    pub(super) fn read(
        context: &'a Context,
        network: Option<&Value>,
        role: Option<Role>,
    ) -> Result<Option<Self>, Problem> {
        let network = network.map(|wanted| addressing(context, wanted)).transpose()?;
        let role = match role {
            Some(_) if context.role_is_open() => role,
            Some(wanted) if wanted != context.role() => return Err(is_named(context)),
            _ => None,
        };
        if network.is_none() && role.is_none() {
            return Ok(None);
        }
        let root = context.state_directory().ok_or(Problem::STATE_UNAVAILABLE)?;
        Ok(Some(Self { root, network, role }))
    }

    /// Keeps all of it or nothing.
    pub(super) fn keep(self) -> Result<Former<'a>, Error> {
        // A file that can't be read is of no use to go back to.
        let former = Former {
            root: self.root,
            network: self
                .network
                .as_ref()
                .map(|_| network::read(self.root).ok().flatten()),
            role: self.role.map(|_| role::read(self.root).ok().flatten()),
        };
        match self.write() {
            Ok(()) => Ok(former),
            Err(error) => {
                if let Err(error) = former.restore() {
                    log::error(error.chain());
                }
                Err(error)
            }
        }
    }

    fn write(&self) -> Result<(), Error> {
        if let Some(wanted) = self.role {
            role::write(self.root, wanted)?;
        }
        match &self.network {
            Some(wanted) => network::write(self.root, wanted),
            None => Ok(()),
        }
    }
}

impl Former<'_> {
    /// Takes back what was kept.
    pub(super) fn restore(self) -> Result<(), Error> {
        match self.role {
            Some(Some(was)) => role::write(self.root, was)?,
            Some(None) => role::remove(self.root)?,
            None => {}
        }
        match self.network {
            Some(Some(was)) => network::write(self.root, &was),
            Some(None) => network::remove(self.root),
            None => Ok(()),
        }
    }

    /// The set-up is done: PID 1 goes by what is kept now.
    pub(super) fn tell(self, context: &Context) {
        if self.network.is_some() {
            context.network_changed();
        }
        if self.role.is_some() {
            context.role_chosen();
        }
    }
}

fn addressing(context: &Context, wanted: &Value) -> Result<Addressing, Problem> {
    if !context.is_appliance() {
        return Err(Problem::INVALID
            .about("network is set on an appliance alone; here it is the operating system's matter"));
    }
    network::parse(wanted.to_string().as_bytes())
        .map_err(|error| Problem::INVALID.about(error.chain().to_string()))
}

fn is_named(context: &Context) -> Problem {
    let role = context.role();
    Problem::INVALID.about(match context.is_appliance() {
        true => format!(
            "the role is {role}: it is chosen here only where the appliance has a state disk, and its properties are read and name none"
        ),
        false => format!("the role is {role}, by the command that started the connector (vcc {role})"),
    })
}
