//! What this machine was when it last started, kept on the state disk: what the next start goes by until it has read the
//! environment.
//!
//! Finding a drive and reading the environment from it takes a third of a start, and nearly always it says what it said
//! last time. What is kept is only what does no harm if it proves wrong: a role, and that an address was asked for. An
//! address that was given is not kept, since another machine may have it by now.

use std::path::Path;
use std::thread;

use serde::{Deserialize, Serialize};

use super::environment::Settings;
use super::state::MOUNT_POINT;
use crate::addressing::Addressing;
use crate::hostname::Hostname;
use crate::role::Role;
use crate::{file, log};

const NAME: &str = "last-start.json";

/// The last start, as far as it helps the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastStart {
    /// What the machine was.
    pub role: Role,
    /// All interfaces asked a DHCP server for their addresses.
    pub dhcp: bool,
    /// The name that it was given, if it was.
    pub hostname: Option<Hostname>,
}

impl LastStart {
    /// What to keep of a start in this role by these settings, reached at these addresses.
    pub fn of(role: Role, settings: &Settings, addressing: &Addressing) -> Self {
        Self {
            role,
            dhcp: addressing.is_harmless(),
            hostname: settings.hostname.clone(),
        }
    }

    /// What the mounted state disk has; none at the first start.
    pub fn read() -> Option<Self> {
        let text = file::text(Path::new(MOUNT_POINT).join(NAME)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps it, in a thread of its own. Without it the next start takes longer, and that is all.
    pub fn remember(self) {
        let write = move || {
            let Ok(bytes) = serde_json::to_vec(&self) else {
                return;
            };
            if let Err(error) = file::replace_durably(Path::new(MOUNT_POINT), NAME, &bytes) {
                log::warn(error.chain());
            }
        };
        let _ = thread::Builder::new().name("last-start".to_owned()).spawn(write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_was_given_is_not_kept() {
        let (settings, problems) = Settings::of(|key| match key {
            "ip" => Some("192.0.2.5/24"),
            "hostname" => Some("north"),
            _ => None,
        });
        assert!(problems.is_empty());
        let kept =
            serde_json::to_string(&LastStart::of(Role::Node, &settings, &settings.addressing)).unwrap();
        assert_eq!(kept, r#"{"role":"node","dhcp":false,"hostname":"north"}"#);
    }
}
