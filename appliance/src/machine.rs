//! What PID 1 tells the service about the machine, and the service PID 1 about itself.
//!
//! ```text
//! PID 1  ── /run/vcc/machine.json, replaced whole at every change ──►  service (reads it at every request)
//!        ◄── heartbeat pipe, one line of JSON (`Beat`) every 5 s ────
//! ```

use std::net::IpAddr;
use std::path::Path;

use image::slot::Slot;
use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind, Result};
use crate::file;
use crate::hostname::Hostname;
use crate::product::Product;
use crate::proposal::Proposal;
use crate::syslog::Collector;

/// Where PID 1 keeps the report.
pub const PATH: &str = "/run/vcc/machine.json";
const LIMIT: usize = 256 << 10;

/// The state disk, as PID 1 left it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDisk {
    /// It is mounted: the service may use its directory.
    pub mounted: bool,
    /// The kernel's name of the device, such as `vdb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The number of this boot, as far as it could be counted.
    pub boots: u64,
}

/// The machine that the service runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The product built into the appliance.
    pub product: Product,
    /// The machine's name.
    pub hostname: Hostname,
    /// The slot it started from; none where the loader named none.
    #[serde(default, with = "slot")]
    pub slot: Option<Slot>,
    /// The slot is on trial and not yet kept.
    #[serde(default)]
    pub on_trial: bool,
    /// Addresses to reach it at, in the order of its interfaces.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Name servers, from properties or DHCP.
    #[serde(default)]
    pub name_servers: Vec<IpAddr>,
    /// Time servers, from properties or DHCP.
    #[serde(default)]
    pub ntp_servers: Vec<Endpoint>,
    /// Where the log is forwarded to, from a property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syslog: Option<Collector>,
    /// No property names its role: whoever sets it up chooses.
    #[serde(default)]
    pub role_is_open: bool,
    /// Whom it is meant to be enrolled with, from properties.
    #[serde(default)]
    pub proposal: Proposal,
    /// The machine's clock is the service's to set: PID 1 says so, and nothing else may.
    #[serde(default)]
    pub own_clock: bool,
    /// Its state disk.
    #[serde(default)]
    pub state: StateDisk,
    /// Names of the watchdogs that would reset it.
    #[serde(default)]
    pub watchdogs: Vec<String>,
    /// How often the service died since the machine started.
    #[serde(default)]
    pub service_restarts: u64,
    /// What PID 1 checks.
    #[serde(default)]
    pub checks: Vec<Check>,
}

impl Machine {
    /// Reads the report.
    ///
    /// # Errors
    /// [`Kind::Io`], [`Kind::Ceiling`] above 256 KiB, [`Kind::Malformed`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = file::read(path, LIMIT)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            Error::new(
                Kind::Malformed,
                path.display().to_string(),
                "is not a machine report",
            )
            .because(e)
        })
    }

    /// Replaces the report.
    ///
    /// # Errors
    /// [`Kind::Io`] and its like.
    pub fn write(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|e| {
            Error::new(
                Kind::Malformed,
                path.display().to_string(),
                "cannot be written as JSON",
            )
            .because(e)
        })?;
        file::replace(path, &bytes)
    }
}

/// A slot as `"a"`, `"b"` or null.
pub(crate) mod slot {
    use image::slot::Slot;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(slot: &Option<Slot>, to: S) -> Result<S::Ok, S::Error> {
        slot.map(Slot::as_str).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Slot>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse())
            .transpose()
            .map_err(D::Error::custom)
    }
}

/// A sign of life of the service, with what the console shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The certificate's SHA-256 fingerprint, as pairs of capital hexadecimal digits joined by colons.
    pub fingerprint: String,
    /// The identity lives in memory only.
    pub ephemeral: bool,
    /// The code by which the connector is set up, until it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup_code: Option<String>,
    /// What its administrators have to say to whoever comes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// How often the service has written `network.json`, for PID 1 to go by.
    #[serde(default)]
    pub network_changes: u64,
    /// How often the service has written `role`, likewise.
    #[serde(default)]
    pub role_changes: u64,
    /// The service's own checks.
    pub checks: Vec<Check>,
}

/// The longest beat in bytes, its newline included: what a pipe takes whole or not at all (`PIPE_BUF`).
pub const BEAT_LIMIT: usize = 4096;

impl Beat {
    /// The line to write, newline included; with the checks left out where they would make it longer than
    /// [`BEAT_LIMIT`].
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        if line.len() >= BEAT_LIMIT {
            let short = Self {
                checks: Vec::new(),
                ..self.clone()
            };
            line = serde_json::to_vec(&short).unwrap_or_default();
        }
        line.push(b'\n');
        line
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`Kind::Malformed`].
    pub fn parse(line: &[u8]) -> Result<Self> {
        serde_json::from_slice(line)
            .map_err(|e| Error::new(Kind::Malformed, "heartbeat", "is not a beat").because(e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::STATE_DISK;

    #[test]
    fn a_report_survives_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("machine.json");
        let machine = Machine {
            slot: Some(Slot::B),
            addresses: vec!["192.0.2.5".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            checks: vec![Check::fail(STATE_DISK, "none", "attach one")],
            ..Machine::default()
        };
        machine.write(&path).unwrap();
        assert_eq!(Machine::read(&path).unwrap(), machine);
    }

    #[test]
    fn a_beat_fits_a_pipe_whatever_its_checks_say() {
        let beat = Beat {
            fingerprint: "AA:BB".to_owned(),
            ephemeral: true,
            setup_code: None,
            notice: Some("x".repeat(500)),
            network_changes: 0,
            role_changes: 0,
            checks: vec![Check::pass(STATE_DISK, "x".repeat(10_000))],
        };
        let line = beat.to_line();
        assert!(line.len() <= BEAT_LIMIT);
        let read = Beat::parse(line.trim_ascii_end()).unwrap();
        assert_eq!((read.fingerprint.as_str(), read.checks.len()), ("AA:BB", 0));
    }
}
