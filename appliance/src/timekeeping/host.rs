//! The host's own clock, where the hypervisor hands it to its guests as a PTP device.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::time::{DynamicClockId, clock_gettime_dynamic};
use std::os::fd::AsFd as _;
use time::{Duration, OffsetDateTime};

use super::packet::Sample;
use super::status::is_plausible;
use crate::error::{Error, Kind, Result};
use crate::file;

const CLASS: &str = "/sys/class/ptp";
/// What KVM's and Hyper-V's drivers call it. A network adapter's PTP clock may show anything.
const NAMES: [&str; 2] = ["KVM virtual PTP", "hyperv"];
/// By how much the host itself may be wrong: nobody says.
const DISTANCE: Duration = Duration::milliseconds(100);

/// A host's clock.
#[derive(Debug)]
pub(super) struct HostClock {
    device: File,
    /// What its driver calls it.
    pub(super) name: String,
}

impl HostClock {
    /// The first there is.
    pub(super) fn find() -> Option<Self> {
        let (path, name) = find_in(Path::new(CLASS))?;
        let device = File::open(path).ok()?;
        Some(Self { device, name })
    }

    /// Compares the machine's clock with it.
    pub(super) fn measure(&self) -> Result<Sample> {
        let failed = |reason| Error::new(Kind::Io, self.name.clone(), reason);
        let before = OffsetDateTime::now_utc();
        let time = clock_gettime_dynamic(DynamicClockId::Dynamic(self.device.as_fd()))
            .map_err(|error| failed("the host's clock cannot be read").because(error))?;
        let after = OffsetDateTime::now_utc();
        let host = OffsetDateTime::from_unix_timestamp(time.tv_sec)
            .map_err(|error| failed("the host's clock makes no sense").because(error))?
            + Duration::nanoseconds(time.tv_nsec);
        if !is_plausible(host) {
            return Err(failed("the host's clock is in the past"));
        }
        let delay = (after - before).max(Duration::ZERO);
        Ok(Sample {
            offset: host - (before + delay / 2),
            delay,
            distance: DISTANCE,
        })
    }
}

/// The device and the name of the first host's clock of a class directory.
fn find_in(class: &Path) -> Option<(PathBuf, String)> {
    let entries = std::fs::read_dir(class).ok()?;
    let mut clocks: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = file::text(entry.path().join("clock_name")).ok()?;
            let device = Path::new("/dev").join(entry.file_name());
            NAMES.contains(&name.as_str()).then_some((device, name))
        })
        .collect();
    clocks.sort();
    clocks.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_hypervisors_clock_is_taken() {
        let class = tempfile::tempdir().unwrap();
        assert_eq!(find_in(class.path()), None);
        for (device, name) in [
            ("ptp0", "e1000e"),
            ("ptp2", "hyperv"),
            ("ptp1", "KVM virtual PTP"),
        ] {
            std::fs::create_dir(class.path().join(device)).unwrap();
            std::fs::write(class.path().join(device).join("clock_name"), format!("{name}\n")).unwrap();
        }
        let found = find_in(class.path()).unwrap();
        assert_eq!(found, ("/dev/ptp1".into(), "KVM virtual PTP".to_owned()));
    }
}
