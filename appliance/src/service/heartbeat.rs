//! Signs of life for whoever watches over the service, written by the loop that answers requests: when that stands
//! still, so do they.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Context;
use crate::error::{Error, Kind, Result};

/// Time between two beats.
const INTERVAL: Duration = Duration::from_secs(5);

/// The pipe to write beats to.
pub(super) struct Heartbeat(File);

impl Heartbeat {
    /// Opens the pipe behind descriptor `number` anew: one that does not block, beside the one that was given.
    pub(super) fn open(number: i32) -> Result<Self> {
        let path = format!("/proc/self/fd/{number}");
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(nonblocking)
            .open(&path)
            .map_err(|e| Error::new(Kind::Io, path, "cannot be opened for the heartbeat").because(e))?;
        Ok(Self(file))
    }

    fn beat(&mut self, context: &Context) {
        // Whoever does not read has lost interest or hangs itself; either way the service goes on.
        let _ = self.0.write(&context.beat().to_line());
    }
}

/// Beats for ever; without a heartbeat, only waits.
pub(super) async fn run(heartbeat: Option<Heartbeat>, context: &Context) -> Infallible {
    let Some(mut heartbeat) = heartbeat else {
        return std::future::pending().await;
    };
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        heartbeat.beat(context);
    }
}
