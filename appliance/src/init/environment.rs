//! The OVF environment: what the person who deployed the appliance set.
//!
//! Looked for on a CD-ROM (`ovf-env.xml`), in QEMU's fw_cfg (`opt/ovf.env`) and in VMware's guestinfo, in this order;
//! the first document found counts, even if it is no good: a person who gave one must not be given defaults in silence.

mod cdrom;
mod given;
mod guestinfo;
mod settings;

use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use super::event::Event;
use crate::check::{Check, ENVIRONMENT, Outcome};
use crate::error::{Error, Kind, Result};
use crate::{file, log};
use ovf::environment::Environment;

pub use given::Given;
pub use settings::Settings;

const FW_CFG: &str = "/sys/firmware/qemu_fw_cfg/by_name/opt/ovf.env/raw";
/// Under Hyper-V a drive can come after the drivers did: devices are offered one by one.
const LATE_DRIVE: Duration = Duration::from_secs(5);
const LATE_DRIVE_STEP: Duration = Duration::from_millis(200);
const REMEDY: &str = "Correct the appliance's properties in the virtualisation platform and restart.";

/// What was found.
#[derive(Debug)]
pub struct Findings {
    /// What to do, from properties and defaults.
    pub settings: Settings,
    /// The check `environment`.
    pub check: Check,
    /// The properties, if there are any to go by.
    pub given: Option<Given>,
}

impl Findings {
    /// Goes by what the machine was given before, where there is nothing now or something is wrong with it: it stays what it is.
    pub fn fall_back_on(&mut self, before: &Given) {
        if self.given.is_some() {
            return;
        }
        self.check.reason = match self.check.status {
            Outcome::Pass => "none was given; what was given before applies".to_owned(),
            Outcome::Warn | Outcome::Fail => format!("{}; what was given before applies", self.check.reason),
        };
        self.settings = before.settings();
        self.given = Some(before.clone());
    }
}

/// A document and where it came from.
struct Found {
    source: &'static str,
    bytes: Vec<u8>,
}

/// Looks for the environment in a thread of its own, which reports [`Event::Environment`].
///
/// # Errors
/// What the system says of the thread.
pub fn start(events: SyncSender<Event>) -> std::io::Result<()> {
    thread::Builder::new()
        .name("environment".to_owned())
        .spawn(move || {
            let _ = events.send(Event::Environment(Box::new(find())));
        })?;
    Ok(())
}

fn find() -> Findings {
    let mut found = look();
    let until = Instant::now() + LATE_DRIVE;
    while matches!(found, Ok(None)) && on_hyper_v() && Instant::now() < until {
        thread::sleep(LATE_DRIVE_STEP);
        found = look();
    }
    match found {
        Ok(Some(found)) => read(&found),
        Ok(None) => Findings {
            settings: Settings::default(),
            check: Check::pass(ENVIRONMENT, "none was given; defaults apply"),
            given: None,
        },
        Err(error) => broken(&error),
    }
}

fn look() -> Result<Option<Found>> {
    if let Some(bytes) = cdrom::read(ovf::environment::MAX_BYTES)? {
        return Ok(Some(Found {
            source: "CD-ROM",
            bytes,
        }));
    }
    if Path::new(FW_CFG).exists() {
        let bytes = file::read(Path::new(FW_CFG), ovf::environment::MAX_BYTES)?;
        return Ok(Some(Found {
            source: "fw_cfg",
            bytes,
        }));
    }
    Ok(guestinfo::read(ovf::environment::MAX_BYTES)?.map(|bytes| Found {
        source: "guestinfo",
        bytes,
    }))
}

fn on_hyper_v() -> bool {
    crate::sys::hypervisor_signature() == Some(*b"Microsoft Hv")
}

fn read(found: &Found) -> Findings {
    let environment = match Environment::parse(&found.bytes) {
        Ok(environment) => environment,
        Err(error) => {
            let failure = Error::new(
                Kind::Environment,
                found.source,
                "the OVF environment cannot be read",
            );
            return broken(&failure.because(error));
        }
    };
    let (settings, problems, given) = Given::take(|key| environment.property(key));
    for problem in &problems {
        log::error(format_args!("environment: {problem}"));
    }
    let check = if problems.is_empty() {
        let count = environment.properties.len();
        Check::pass(ENVIRONMENT, format!("{count} properties from {}", found.source))
    } else {
        Check::fail(ENVIRONMENT, problems.join("; "), REMEDY)
    };
    Findings {
        settings,
        check,
        given: problems.is_empty().then_some(given),
    }
}

fn broken(error: &Error) -> Findings {
    log::error(error.chain());
    Findings {
        settings: Settings::default(),
        check: Check::fail(ENVIRONMENT, error.chain().to_string(), REMEDY),
        given: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;

    fn environment(properties: &str) -> Findings {
        let text = format!(
            "<Environment xmlns=\"http://schemas.dmtf.org/ovf/environment/1\" \
             xmlns:oe=\"http://schemas.dmtf.org/ovf/environment/1\" oe:id=\"\"><PropertySection>{properties}</PropertySection></Environment>"
        );
        read(&Found {
            source: "a test",
            bytes: text.into_bytes(),
        })
    }

    #[test]
    fn a_machine_stays_what_it_is_where_its_environment_is_gone_or_broken() {
        let server = "<Property oe:key=\"role\" oe:value=\"server\"/><Property oe:key=\"ip\" oe:value=\"192.0.2.5/24\"/>";
        let good = environment(server);
        assert_eq!(good.check.status, Outcome::Pass, "{:?}", good.check);
        let before = good.given.clone().unwrap();
        let gone = Findings {
            settings: Settings::default(),
            check: Check::pass(ENVIRONMENT, "none"),
            given: None,
        };
        let broken = broken(&Error::new(Kind::Environment, "a test", "can't be read"));
        let wrong = environment("<Property oe:key=\"role\" oe:value=\"king\"/>");
        for (now, status) in [
            (gone, Outcome::Pass),
            (broken, Outcome::Fail),
            (wrong, Outcome::Fail),
        ] {
            let mut stays = now;
            for _ in 0..2 {
                stays.fall_back_on(&before);
            }
            assert_eq!((&stays.settings, stays.check.status), (&good.settings, status));
            assert_eq!(
                stays
                    .check
                    .reason
                    .matches("what was given before applies")
                    .count(),
                1
            );
        }
        let mut other = environment("<Property oe:key=\"role\" oe:value=\"node\"/>");
        other.fall_back_on(&before);
        assert_eq!(
            (other.settings.role, other.settings.addressing.ipv4),
            (Some(Role::Node), None)
        );
    }
}
