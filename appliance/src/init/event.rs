//! What the threads of PID 1 tell its main loop.

use super::devices::{Arrival, Drivers};
use super::dhcp::lease::Lease;
use super::environment::Findings;
use super::kept_network::Kept;
use super::kept_role;
use super::power::Power;
use super::state;
use crate::machine::Beat;

/// One piece of news.
#[derive(Debug)]
pub enum Event {
    /// A signal came.
    Signal(i32),
    /// The kernel made a device that somebody here may want.
    Arrival(Arrival),
    /// The drivers of all devices so far are loaded, and how that went.
    Settled(Drivers),
    /// Links or addresses may have changed.
    Links,
    /// An interface got or lost its address by DHCP.
    Lease {
        /// The interface's name.
        interface: String,
        /// What it has now.
        lease: Option<Lease>,
    },
    /// The environment was looked for.
    Environment(Box<Findings>),
    /// The state disk was looked for.
    State(state::Search),
    /// The service of this number is alive.
    Beat(u64, Beat),
    /// Somebody at a console made settings of the network, or took them back.
    Network(Box<Kept>),
    /// The service wrote which role was chosen.
    Role(Box<kept_role::Kept>),
    /// Somebody at a console wants the machine to end so.
    End(Power),
    /// Somebody pressed the power button.
    PowerButton,
}

/// How many pieces of news may wait; a thread with more waits itself.
pub const QUEUE: usize = 256;
