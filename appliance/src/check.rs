//! A readiness check: one thing that has to be right before the connector can work.

use serde::{Deserialize, Serialize};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Pass,
    /// Not as it should be, but the connector works.
    Warn,
    /// The connector is not ready.
    Fail,
}

impl Outcome {
    /// The name in the API and on the console.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One named check with its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// A stable name, such as `state-disk`.
    pub name: String,
    /// How it came out.
    pub status: Outcome,
    /// What was found, for people.
    pub reason: String,
    /// What a person can do about it; empty where nothing has to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

/// The state disk: present, sound, writable and with space left.
pub const STATE_DISK: &str = "state-disk";
/// The key, certificate and instance identifier.
pub const IDENTITY: &str = "identity";
/// An address to be reached at.
pub const NETWORK: &str = "network";
/// The settings that were made on the machine itself, where there are any.
pub const NETWORK_SETTINGS: &str = "network-settings";
/// The role that was chosen on the machine itself, where one was.
pub const ROLE: &str = "role";
/// The OVF environment and the properties in it.
pub const ENVIRONMENT: &str = "environment";
/// The time.
pub const CLOCK: &str = "clock";
/// Forwarding the log.
pub const SYSLOG: &str = "syslog";
/// The kernel's drivers.
pub const MODULES: &str = "modules";
/// The service process itself, as PID 1 sees it.
pub const SERVICE: &str = "service";

impl Check {
    /// A check that came out as it should.
    pub fn pass(name: &str, reason: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            status: Outcome::Pass,
            reason: reason.into(),
            remedy: String::new(),
        }
    }

    /// A check that asks for attention, with what to do.
    pub fn warn(name: &str, reason: impl Into<String>, remedy: &str) -> Self {
        Self {
            status: Outcome::Warn,
            remedy: remedy.to_owned(),
            ..Self::pass(name, reason)
        }
    }

    /// A check that keeps the connector from being ready, with what to do.
    pub fn fail(name: &str, reason: impl Into<String>, remedy: &str) -> Self {
        Self {
            status: Outcome::Fail,
            remedy: remedy.to_owned(),
            ..Self::pass(name, reason)
        }
    }
}

/// Adds `check` to `checks`; of two with the same name the worse one stays, the one there first where they are equal.
pub fn merge(checks: &mut Vec<Check>, check: Check) {
    match checks.iter_mut().find(|other| other.name == check.name) {
        Some(other) if other.status < check.status => *other = check,
        Some(_) => {}
        None => checks.push(check),
    }
}

/// The worst outcome of all; [`Outcome::Pass`] for none.
pub fn worst(checks: &[Check]) -> Outcome {
    checks
        .iter()
        .map(|check| check.status)
        .max()
        .unwrap_or(Outcome::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_of_two_checks_with_one_name_stays() {
        let mut checks = vec![Check::pass(STATE_DISK, "mounted")];
        merge(&mut checks, Check::fail(STATE_DISK, "full", "grow it"));
        merge(&mut checks, Check::warn(STATE_DISK, "old", ""));
        assert_eq!(checks, [Check::fail(STATE_DISK, "full", "grow it")]);
        assert_eq!(worst(&checks), Outcome::Fail);
    }
}
