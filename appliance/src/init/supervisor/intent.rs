//! What the machine is to be, as far as that is known: by its environment, by what its state disk keeps, and until the
//! environment is read by what it was last time.

use crate::addressing::Addressing;
use crate::init::environment::{Findings, Given, Settings};
use crate::init::kept_network::Kept;
use crate::init::last_start::LastStart;
use crate::role::Role;

/// What is known of it.
#[derive(Default)]
pub(super) struct Intent {
    pub(super) environment: Environment,
    /// What the machine was last time, as the disk says.
    pub(super) last: Option<LastStart>,
    /// What it was given when that could last be read, as the disk says.
    pub(super) given: Option<Given>,
    /// How it is reached, where that was set on the machine itself.
    pub(super) network: Kept,
}

/// How far reading the environment has come.
#[derive(Default)]
pub(super) enum Environment {
    #[default]
    Unread,
    Reading,
    Known(Box<Findings>),
}

impl Intent {
    /// What the environment says, once it is read.
    pub(super) fn findings(&self) -> Option<&Findings> {
        match &self.environment {
            Environment::Known(findings) => Some(findings),
            Environment::Unread | Environment::Reading => None,
        }
    }

    /// What the service is to be: what the environment says. Until that is read it is what it was last time, which is nearly
    /// always right and saves a good part of a start; until then it is not ready.
    pub(super) fn role(&self) -> Option<Role> {
        match self.findings() {
            Some(findings) => Some(findings.settings.role),
            None => self.last.as_ref().map(|last| last.role),
        }
    }

    /// How the machine is reached: as was set on it, or as the properties say.
    pub(super) fn addressing<'a>(&'a self, settings: &'a Settings) -> &'a Addressing {
        let kept = self.network.addressing.as_ref();
        kept.unwrap_or(&settings.addressing)
    }

    /// The last start, if asking DHCP as it did does no harm.
    pub(super) fn presumed_dhcp(&self) -> Option<&LastStart> {
        let kept = self.network.addressing.as_ref();
        let last = self.last.as_ref().filter(|last| last.dhcp);
        last.filter(|_| kept.is_none_or(Addressing::is_harmless))
    }

    /// Goes by what the machine was given before, where the environment is gone or broken.
    pub(super) fn fall_back(&mut self) {
        if let (Environment::Known(findings), Some(before)) = (&mut self.environment, &self.given) {
            findings.fall_back_on(before);
        }
    }

    /// What was given now, where the state disk has something else.
    pub(super) fn newly_given(&mut self) -> Option<Given> {
        let given = self.findings()?.given.clone()?;
        if self.given.as_ref() == Some(&given) {
            return None;
        }
        self.given = Some(given.clone());
        Some(given)
    }
}
