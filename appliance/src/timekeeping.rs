//! Keeping time: an NTP client (RFC 5905, the simple one of RFC 4330), and what else knows what time it is.
//!
//! ```text
//! time servers ─► majority ─┐
//!                           ├─► step above 0.5 s, slew below ─► the clock, if the machine is ours
//! the host's clock (PTP) ───┘                                └► otherwise only told
//! state disk: the time it was last ─► the least that it is at a start
//! ```
//!
//! Outside an appliance the clock belongs to the host: it is measured and never touched. PID 1's report says whose it is.
//!
//! | module | holds |
//! |---|---|
//! | `packet` | a request and its reply as bytes, and the attacks that end there |
//! | `source` | one server: bursts, time-outs, kisses of death |
//! | `host` | the hypervisor's clock |
//! | `select` | whom to believe |
//! | `keeper` | one poll of all, and when the next is |
//! | `discipline` | step, slew or leave |
//! | `status` | how it stands |
//! | [`floor`] | the time that it is at least |

mod discipline;
pub mod floor;
mod host;
mod keeper;
mod packet;
mod select;
mod source;
mod status;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

pub use status::{Measurement, State, Status};

use crate::configuration::Settings;
use crate::log;
use crate::service::Context;
use discipline::Decision;
use keeper::Keeper;

/// What has to be added to the machine's clock: positive where that is behind.
type Offset = time::Duration;

/// The port of time servers.
pub const NTP_PORT: u16 = 123;
/// How wrong a clock is that nobody compared: what the kernel counts as not synchronised.
const UNKNOWN: time::Duration = time::Duration::seconds(16);
/// Between two looks at who is to be asked.
const LOOK: Duration = Duration::from_secs(5);
/// Between two times that the state disk is told.
const KEEP: Duration = Duration::from_secs(600);

/// How the clock stands, and who is asked; shared by the task that keeps it and all that tell of it.
#[derive(Debug, Default)]
pub struct Timekeeping {
    status: Mutex<Status>,
}

/// How often servers are asked.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Between polls at first, and after a change.
    least: Duration,
    /// Between polls of a clock that runs well.
    most: Duration,
    /// Between the first polls that nobody answers.
    retry: Duration,
    /// Between the samples of a burst.
    burst: Duration,
    /// For one answer.
    patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            least: Duration::from_secs(64),
            most: Duration::from_secs(1024),
            retry: Duration::from_secs(16),
            burst: Duration::from_secs(2),
            patience: Duration::from_secs(3),
        }
    }
}

impl Timekeeping {
    /// How the clock stands.
    pub fn status(&self) -> Status {
        let status = self.status.lock();
        status.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tell(&self, status: &Status) {
        let mut told = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        told.clone_from(status);
    }
}

/// Keeps the time for as long as the service runs.
pub async fn run(context: Arc<Context>) {
    let timekeeping = context.timekeeping();
    let unset = watch::Sender::<Settings>::default();
    let mut settings = context
        .ground()
        .map_or(&unset, |ground| &ground.settings)
        .subscribe();
    let mut keeper = Keeper::new(context.resolver(), Pace::default());
    let (mut refused, mut has_network) = (false, false);
    let mut poll_at = Instant::now();
    let mut keep_at = poll_at + KEEP;
    loop {
        let machine = context.machine();
        let own_clock = machine.own_clock && !refused;
        // What an appliance asks before it has an address is asked in vain.
        has_network |= !machine.own_clock || !machine.addresses.is_empty();
        let servers = settings.borrow_and_update().time_servers();
        if has_network && keeper.serve_by(servers.unwrap_or(machine.ntp_servers)) {
            poll_at = Instant::now();
        }
        let has_source = own_clock || !keeper.status.servers.is_empty();
        if has_source && Instant::now() >= poll_at {
            let mut round = keeper.poll(own_clock).await;
            match discipline::carry_out(round.decision, round.distance, round.wait) {
                Ok(()) => {
                    if let (Decision::Step(by), Some(last)) = (round.decision, keeper.status.last()) {
                        tell_step(by, &last.source);
                    }
                }
                Err(error) => {
                    log::error(format_args!("the clock cannot be set: {error}"));
                    // Measured anew, as one that is not ours.
                    (refused, round.wait) = (true, LOOK);
                    (keeper.status.holds, keeper.status.last) = (false, None);
                }
            }
            poll_at = Instant::now() + round.wait;
        }
        timekeeping.tell(&keeper.status);
        if Instant::now() >= keep_at {
            context.keep_time();
            keep_at = Instant::now() + KEEP;
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            // The sender lives as long as the context.
            _ = settings.changed() => {}
        }
    }
}

fn tell_step(by: Offset, source: &str) {
    let seconds = by.as_seconds_f64();
    log::info(format_args!("clock stepped by={seconds:+.3} source={source:?}"));
}
