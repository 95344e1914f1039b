//! What a service finds when it starts, and what a person can do about it.

use std::path::Path;

use crate::check::{self, Check, IDENTITY, STATE_DISK};
use crate::error::{Error, Kind, Result};
use crate::hostname::Hostname;
use crate::identity::Identity;
use crate::store::{Boot, Store};

pub(super) fn open_store(state: &Path, findings: &mut Vec<Check>) -> Result<Option<Store>> {
    match Store::open(state) {
        Ok(store) => Ok(Some(store)),
        Err(error) if error.kind() == Kind::StateLocked => Err(error),
        Err(error) => {
            let remedy = "Make the state directory usable and restart.";
            check::merge(
                findings,
                Check::fail(STATE_DISK, error.chain().to_string(), remedy),
            );
            Ok(None)
        }
    }
}

/// Counts a start of an ordinary process.
pub(super) fn count(store: &Store, findings: &mut Vec<Check>) -> u64 {
    let failed = |error: Error| Check::fail(STATE_DISK, error.chain().to_string(), remedy(&error));
    match store.count_boot() {
        Ok(Boot { number, recorded }) => {
            if let Err(error) = recorded {
                check::merge(findings, failed(error));
            }
            number
        }
        Err(error) => {
            check::merge(findings, failed(error));
            0
        }
    }
}

/// What a person can do about a state directory that failed with `error`.
pub(crate) fn remedy(error: &Error) -> &'static str {
    match error.kind() {
        Kind::StateFull => "Enlarge the state disk in the hypervisor and restart; it grows by itself.",
        Kind::StateCorrupt => "Restore the state disk from a backup.",
        _ => "Check the disk and the host's storage, then restart.",
    }
}

pub(super) fn take_identity(
    store: Option<&Store>,
    hostname: &Hostname,
    findings: &mut Vec<Check>,
) -> Result<Identity> {
    let Some(store) = store else {
        findings.push(Check::warn(
            IDENTITY,
            "without a state disk the identity is forgotten at the next start",
            "See the check of the state disk.",
        ));
        return Identity::ephemeral(hostname);
    };
    match Identity::load_or_create(store, hostname) {
        Ok(identity) => {
            findings.push(Check::pass(IDENTITY, "kept on the state disk"));
            Ok(identity)
        }
        Err(error) => {
            let remedy = match error.kind() {
                Kind::Identity => {
                    "Restore the state disk from a backup, or attach a new one for a new identity."
                }
                _ => "See the check of the state disk.",
            };
            findings.push(Check::fail(IDENTITY, error.chain().to_string(), remedy));
            Identity::ephemeral(hostname)
        }
    }
}
