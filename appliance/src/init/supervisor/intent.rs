//! What the machine is to be, as far as that is known: by its environment, by what its state disk keeps, and until the
//! environment is read by what it was last time.

use crate::addressing::Addressing;
use crate::init::environment::{Findings, Given, Settings};
use crate::init::kept_network::Kept;
use crate::init::kept_role;
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
    /// The role that was chosen when it was set up.
    pub(super) chosen: kept_role::Kept,
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

    /// What the service is to be. Until the environment is read the one that was read before stands for it, which is nearly
    /// always right and saves a good part of a start; until then it is not ready.
    pub(super) fn role(&self) -> Option<Role> {
        if let Some(findings) = self.findings() {
            return Some(self.role_by(findings));
        }
        let last = self.last.as_ref()?;
        let named = self.given.as_ref().and_then(|given| given.settings().role);
        Some(named.or(self.chosen.role).unwrap_or(last.role))
    }

    /// Likewise, by an environment that was read: what a property names, or else what was chosen.
    pub(super) fn role_by(&self, findings: &Findings) -> Role {
        // Where nobody can tell any more what was chosen, it stays what it was.
        let last = self.last.as_ref().filter(|_| self.chosen.is_lost());
        let chosen = self.chosen.role.or(last.map(|last| last.role));
        findings.settings.role.or(chosen).unwrap_or_default()
    }

    /// Whether no property names the role.
    pub(super) fn is_role_open(&self) -> bool {
        self.findings()
            .is_some_and(|findings| findings.settings.role.is_none())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addressing::Addressing;
    use crate::check::{Check, ENVIRONMENT, ROLE};

    fn settings(role: Option<Role>) -> Settings {
        Settings {
            role,
            ..Settings::default()
        }
    }

    fn read(named: Option<Role>) -> Environment {
        Environment::Known(Box::new(Findings {
            settings: settings(named),
            check: Check::pass(ENVIRONMENT, "read"),
            given: None,
        }))
    }

    fn last(role: Role) -> Option<LastStart> {
        Some(LastStart::of(role, &settings(None), &Addressing::default()))
    }

    fn chosen(role: Role) -> kept_role::Kept {
        kept_role::Kept {
            role: Some(role),
            check: None,
        }
    }

    #[test]
    fn a_property_wins_over_what_was_chosen_and_that_over_the_default() {
        let mut intent = Intent {
            environment: read(None),
            ..Intent::default()
        };
        assert_eq!((intent.role(), intent.is_role_open()), (Some(Role::Node), true));
        intent.chosen = chosen(Role::Server);
        assert_eq!((intent.role(), intent.is_role_open()), (Some(Role::Server), true));
        intent.environment = read(Some(Role::Sp));
        assert_eq!((intent.role(), intent.is_role_open()), (Some(Role::Sp), false));
    }

    #[test]
    fn a_role_that_was_chosen_holds_before_the_environment_is_read_unless_a_property_named_another() {
        let given = |text: &str| serde_json::from_str::<Given>(text).ok();
        let mut intent = Intent {
            chosen: chosen(Role::Server),
            ..Intent::default()
        };
        assert_eq!(
            (intent.role(), intent.is_role_open()),
            (None, false),
            "a first start waits"
        );
        // The choice was kept, and the machine cut off before the service started with it.
        intent.last = last(Role::Node);
        assert_eq!(intent.role(), Some(Role::Server));
        intent.given = given(r#"{"role":""}"#);
        assert_eq!(intent.role(), Some(Role::Server));
        intent.given = given(r#"{"role":"sp"}"#);
        assert_eq!(intent.role(), Some(Role::Sp));
    }

    #[test]
    fn where_the_choice_is_lost_the_machine_stays_what_it_was() {
        let lost = kept_role::Kept {
            role: None,
            check: Some(Check::fail(ROLE, "damaged", "")),
        };
        let mut intent = Intent {
            environment: read(None),
            last: last(Role::Server),
            chosen: lost,
            ..Intent::default()
        };
        assert_eq!(intent.role(), Some(Role::Server));
        intent.chosen = kept_role::Kept::default();
        assert_eq!(
            intent.role(),
            Some(Role::Node),
            "it was a property's, and that is gone"
        );
    }
}
