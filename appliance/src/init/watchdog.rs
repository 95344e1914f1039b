//! Hardware watchdogs: each resets the machine unless it is fed in time.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use crate::{file, log};

/// Seconds between two feedings after which the machine is reset.
const TIMEOUT: i32 = 30;
/// The byte that tells the driver that the end is meant.
const MAGIC_CLOSE: &[u8] = b"V";
const SYSFS: &str = "/sys/class/watchdog";

/// All watchdogs of the machine.
#[derive(Debug, Default)]
pub struct Watchdogs(Vec<Watchdog>);

#[derive(Debug)]
struct Watchdog {
    node: String,
    identity: String,
    device: File,
}

impl Watchdogs {
    /// Takes every watchdog that is not in use yet; from then on it has to be fed.
    pub fn look(&mut self) {
        let entries = std::fs::read_dir(SYSFS).into_iter().flatten().flatten();
        let mut nodes: Vec<_> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        nodes.sort();
        for node in nodes {
            if !self.0.iter().any(|watchdog| watchdog.node == node)
                && let Some(watchdog) = Watchdog::open(node)
            {
                self.0.push(watchdog);
            }
        }
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they call themselves.
    pub fn identities(&self) -> Vec<String> {
        self.0.iter().map(|watchdog| watchdog.identity.clone()).collect()
    }

    /// Puts the reset off.
    pub fn feed(&mut self) {
        for watchdog in &mut self.0 {
            // A watchdog that takes no food resets the machine, which is its task.
            let _ = watchdog.device.write_all(b"\0");
        }
    }

    /// Stops them: the machine is about to stop itself.
    pub fn close(self) {
        for mut watchdog in self.0 {
            let _ = watchdog.device.write_all(MAGIC_CLOSE);
        }
    }
}

impl Watchdog {
    fn open(node: String) -> Option<Self> {
        let path = Path::new("/dev").join(&node);
        let device = match OpenOptions::new().write(true).open(&path) {
            Ok(device) => device,
            Err(error) => {
                log::warn(format_args!("{}: cannot be used: {error}", path.display()));
                return None;
            }
        };
        let identity = file::text(format!("{SYSFS}/{node}/identity")).unwrap_or_else(|_| node.clone());
        let timeout = crate::sys::set_watchdog_timeout(&device, TIMEOUT);
        let timeout = timeout.map_or_else(|error| error.to_string(), |seconds| format!("{seconds}s"));
        log::info(format_args!(
            "watchdog device={node} timeout={timeout} identity={identity}"
        ));
        Some(Self {
            node,
            identity,
            device,
        })
    }
}
