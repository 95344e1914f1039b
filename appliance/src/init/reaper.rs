//! Dead processes, taken off the kernel's table: the service, and orphans that fell to PID 1.

use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

/// A process that ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Who it was.
    pub pid: Pid,
    status: WaitStatus,
}

/// Takes all that have ended by now.
pub fn reap() -> Vec<Ended> {
    let mut ended = Vec::new();
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => ended.push(Ended { pid, status }),
            Err(rustix::io::Errno::INTR) => {}
            Ok(None) | Err(_) => return ended,
        }
    }
}

impl Ended {
    /// How it ended, as one word.
    pub fn cause(&self) -> String {
        match (self.status.exit_status(), self.status.terminating_signal()) {
            (Some(status), _) => format!("status-{status}"),
            (None, Some(signal)) => format!("signal-{signal}"),
            (None, None) => "unknown".to_owned(),
        }
    }
}
