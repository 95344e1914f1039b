//! The OVF environment: what the person who deployed the appliance set.
//!
//! Looked for on a CD-ROM (`ovf-env.xml`), in QEMU's fw_cfg (`opt/ovf.env`) and in VMware's guestinfo, in this order;
//! the first document found counts, even if it is no good: a person who gave one must not be given defaults in silence.

mod cdrom;
mod guestinfo;
mod settings;

use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use super::event::Event;
use crate::check::{Check, ENVIRONMENT};
use crate::error::{Error, Kind, Result};
use crate::{file, log};
use ovf::environment::Environment;

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
    let (settings, problems) = Settings::of(|key| environment.property(key));
    for problem in &problems {
        log::error(format_args!("environment: {problem}"));
    }
    let check = if problems.is_empty() {
        let count = environment.properties.len();
        Check::pass(ENVIRONMENT, format!("{count} properties from {}", found.source))
    } else {
        Check::fail(ENVIRONMENT, problems.join("; "), REMEDY)
    };
    Findings { settings, check }
}

fn broken(error: &Error) -> Findings {
    log::error(error.chain());
    Findings {
        settings: Settings::default(),
        check: Check::fail(ENVIRONMENT, error.chain().to_string(), REMEDY),
    }
}
