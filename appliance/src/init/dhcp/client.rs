//! The client of RFC 2131 section 4.4 as a pure machine: messages and times in, actions out.
//!
//! ```text
//!            ┌────────── NAK, expiry, no answer ───────────┐
//!            ▼                                             │
//! Init ─► Selecting ── OFFER ─► Requesting ── ACK ─► Bound ┼─ T1 ─► Renewing ─ T2 ─► Rebinding
//!            ▲                      ▲                  ▲   │            │                │
//!            │                      │                  └───┼──── ACK ───┴────────────────┘
//!            └──── no answer ── Rebooting ◄── link up ─────┘ (no answer: Bound again)
//! ```

use std::net::Ipv4Addr;
use std::time::Duration;

use super::lease::Lease;
use super::message::{Message, MessageKind, Options, WANTED};
use crate::hostname::Hostname;

/// RFC 2131 section 4.1: the first wait, doubled up to the last, each changed by up to a second at random.
const FIRST_WAIT: Duration = Duration::from_secs(4);
const LAST_WAIT: Duration = Duration::from_secs(64);
/// Requests for an offered or remembered address before the client begins anew.
const TRIES: u32 = 4;
/// Section 4.4.5: no renewal is repeated sooner.
const RENEWAL_WAIT: Duration = Duration::from_secs(60);
/// The longest message we take, in option 57: an Ethernet frame's worth without the IP and UDP headers.
const LONGEST: u16 = 1472;

/// What the rim has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send the message to port 67 of `to`, which may be the broadcast address.
    Send {
        /// The receiver.
        to: Ipv4Addr,
        /// What to send.
        message: Box<Message>,
    },
    /// Use this lease from now on, in place of any before.
    Configure(Lease),
    /// Use no address any more.
    Deconfigure,
}

/// One interface's client. Times are those since any fixed moment.
#[derive(Debug)]
pub struct Client {
    hardware: [u8; 6],
    hostname: Hostname,
    random: fn() -> u32,
    state: State,
    /// When the client began to look for what it looks for.
    since: Duration,
    transaction: u32,
    deadline: Duration,
    tries: u32,
    /// NAKs in a row: a server that offers and refuses for ever must not be asked for ever without a pause.
    refusals: u32,
}

#[derive(Debug, Clone)]
enum State {
    Init,
    Selecting,
    Requesting(Lease),
    Bound(Held),
    Renewing(Held),
    Rebinding(Held),
    Rebooting(Held),
}

/// A lease in use and when its times come.
#[derive(Debug, Clone)]
struct Held {
    lease: Lease,
    renewal: Duration,
    rebinding: Duration,
    expiry: Duration,
}

impl Client {
    /// A client that begins at once. `random` gives transaction numbers and jitter.
    pub fn new(hardware: [u8; 6], hostname: Hostname, random: fn() -> u32) -> Self {
        Self {
            hardware,
            hostname,
            random,
            state: State::Init,
            since: Duration::ZERO,
            transaction: 0,
            deadline: Duration::ZERO,
            tries: 0,
            refusals: 0,
        }
    }

    /// When [`Client::on_time`] has to be called if nothing else happens.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The deadline has come.
    pub fn on_time(&mut self, now: Duration) -> Vec<Action> {
        match self.state.clone() {
            State::Init => self.discover(now),
            State::Selecting => self.repeat(now, self.discovery(now)),
            State::Requesting(_) if self.tries >= TRIES => self.discover(now),
            State::Requesting(offer) => self.repeat(now, self.taking(now, &offer)),
            State::Rebooting(held) if now >= held.expiry => self.lose(now),
            State::Rebooting(held) if self.tries >= TRIES => self.resume(now, held),
            State::Rebooting(held) => self.repeat(now, self.verifying(now, &held.lease)),
            State::Bound(held) | State::Renewing(held) | State::Rebinding(held) => self.keep(now, held),
        }
    }

    /// The link came up.
    pub fn on_link(&mut self, now: Duration) -> Vec<Action> {
        match self.state.clone() {
            State::Bound(held) | State::Renewing(held) | State::Rebinding(held) | State::Rebooting(held) => {
                self.begin(now);
                self.state = State::Rebooting(held.clone());
                self.repeat(now, self.verifying(now, &held.lease))
            }
            State::Init | State::Selecting | State::Requesting(_) => self.discover(now),
        }
    }

    /// A message came. One that is not for us, or makes no sense now, changes nothing.
    pub fn on_message(&mut self, now: Duration, message: &Message) -> Vec<Action> {
        if !message.reply || message.transaction != self.transaction || message.hardware != self.hardware {
            return Vec::new();
        }
        match (&self.state, message.options.kind) {
            (State::Selecting, MessageKind::Offer) => match Lease::of(message) {
                Ok(offer) => self.request(now, offer),
                Err(_) => Vec::new(),
            },
            (State::Init | State::Selecting | State::Bound(_), _) => Vec::new(),
            (_, MessageKind::Ack) => match Lease::of(message) {
                Ok(lease) if self.may_give(&lease) => self.bind(now, lease),
                _ => Vec::new(),
            },
            (_, MessageKind::Nak) if self.may_refuse(message) => self.refuse(now),
            _ => Vec::new(),
        }
    }

    fn begin(&mut self, now: Duration) {
        self.since = now;
        self.transaction = (self.random)();
        self.tries = 0;
    }

    fn discover(&mut self, now: Duration) -> Vec<Action> {
        self.begin(now);
        self.state = State::Selecting;
        self.repeat(now, self.discovery(now))
    }

    fn request(&mut self, now: Duration, offer: Lease) -> Vec<Action> {
        self.tries = 0;
        let action = self.taking(now, &offer);
        self.state = State::Requesting(offer);
        self.repeat(now, action)
    }

    /// Does `action`, and notes when it has to be repeated.
    fn repeat(&mut self, now: Duration, action: Action) -> Vec<Action> {
        let wait = (FIRST_WAIT * 2_u32.saturating_pow(self.tries.min(8))).min(LAST_WAIT);
        let jitter = Duration::from_millis(u64::from((self.random)() % 2000));
        self.deadline = now + wait + jitter - Duration::from_secs(1);
        self.tries = self.tries.saturating_add(1);
        vec![action]
    }

    /// The time of a lease in use has gone on.
    fn keep(&mut self, now: Duration, held: Held) -> Vec<Action> {
        if now >= held.expiry {
            return self.lose(now);
        }
        let (renewing, next) = if now >= held.rebinding {
            (false, held.expiry)
        } else {
            (true, held.rebinding)
        };
        if matches!(self.state, State::Bound(_)) {
            self.begin(now);
        }
        // Half of the time that is left, but not less than a minute, and never beyond it.
        self.deadline = (now + (next.saturating_sub(now) / 2).max(RENEWAL_WAIT)).min(next);
        let action = self.extending(now, &held.lease, renewing);
        self.state = if renewing {
            State::Renewing(held)
        } else {
            State::Rebinding(held)
        };
        vec![action]
    }

    fn bind(&mut self, now: Duration, lease: Lease) -> Vec<Action> {
        // The lease's time counts from when it was asked for (section 4.4.5); a repeated request makes that later only.
        let start = if matches!(self.state, State::Requesting(_) | State::Rebooting(_)) {
            self.since
        } else {
            now
        };
        let held = Held {
            renewal: start + lease.renewal,
            rebinding: start + lease.rebinding,
            expiry: start + lease.expiry,
            lease: lease.clone(),
        };
        self.refusals = 0;
        self.deadline = held.renewal;
        self.state = State::Bound(held);
        vec![Action::Configure(lease)]
    }

    /// Nobody confirmed or refused the address: it is ours as long as the lease lasts (section 3.2, 5.).
    fn resume(&mut self, now: Duration, held: Held) -> Vec<Action> {
        self.deadline = held.renewal.max(now);
        self.state = State::Bound(held);
        Vec::new()
    }

    /// Begins anew without an address, at once.
    fn lose(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = vec![Action::Deconfigure];
        actions.extend(self.discover(now));
        actions
    }

    /// Begins anew after a NAK, later with every one in a row.
    fn refuse(&mut self, now: Duration) -> Vec<Action> {
        let had_address = !matches!(self.state, State::Requesting(_));
        let wait = 2_u32.saturating_pow(self.refusals.min(6)) - 1;
        self.refusals = self.refusals.saturating_add(1);
        self.state = State::Init;
        self.deadline = now + Duration::from_secs(wait.into());
        if had_address {
            vec![Action::Deconfigure]
        } else {
            Vec::new()
        }
    }

    /// An acknowledgement has to be about the address that was asked for.
    fn may_give(&self, lease: &Lease) -> bool {
        match &self.state {
            State::Requesting(offer) => lease.address == offer.address && lease.server == offer.server,
            State::Renewing(held) | State::Rebinding(held) | State::Rebooting(held) => {
                lease.address == held.lease.address
            }
            State::Init | State::Selecting | State::Bound(_) => false,
        }
    }

    /// While one server's offer or lease is at stake, no other can refuse it.
    fn may_refuse(&self, message: &Message) -> bool {
        match &self.state {
            State::Requesting(Lease { server, .. }) => message.options.server == Some(*server),
            State::Renewing(held) => message
                .options
                .server
                .is_none_or(|server| server == held.lease.server),
            State::Rebinding(_) | State::Rebooting(_) => true,
            State::Init | State::Selecting | State::Bound(_) => false,
        }
    }

    fn discovery(&self, now: Duration) -> Action {
        broadcast(self.message(now, MessageKind::Discover))
    }

    /// Table 4, SELECTING: names the server and the address, has none itself.
    fn taking(&self, now: Duration, offer: &Lease) -> Action {
        let mut message = self.message(now, MessageKind::Request);
        message.options.requested = Some(offer.address);
        message.options.server = Some(offer.server);
        broadcast(message)
    }

    /// Table 4, INIT-REBOOT: names the address, no server.
    fn verifying(&self, now: Duration, lease: &Lease) -> Action {
        let mut message = self.message(now, MessageKind::Request);
        message.options.requested = Some(lease.address);
        broadcast(message)
    }

    /// Table 4, RENEWING and REBINDING: has the address and can be answered there.
    fn extending(&self, now: Duration, lease: &Lease, renewing: bool) -> Action {
        let mut message = self.message(now, MessageKind::Request);
        message.client = lease.address;
        message.broadcast = false;
        if renewing {
            let to = lease.server;
            let message = Box::new(message);
            return Action::Send { to, message };
        }
        broadcast(message)
    }

    fn message(&self, now: Duration, kind: MessageKind) -> Message {
        let mut options = Options::new(kind);
        options.host_name = Some(self.hostname.to_string());
        options.wanted = WANTED.to_vec();
        options.longest = Some(LONGEST);
        // Hardware type Ethernet and the address, as RFC 2132 section 9.14 suggests.
        options.client_id = [&[1], self.hardware.as_slice()].concat();
        let seconds = now.saturating_sub(self.since).as_secs();
        Message {
            reply: false,
            transaction: self.transaction,
            seconds: u16::try_from(seconds).unwrap_or(u16::MAX),
            broadcast: true,
            client: Ipv4Addr::UNSPECIFIED,
            yours: Ipv4Addr::UNSPECIFIED,
            hardware: self.hardware,
            options,
        }
    }
}

fn broadcast(message: Message) -> Action {
    Action::Send {
        to: Ipv4Addr::BROADCAST,
        message: Box::new(message),
    }
}

#[cfg(test)]
mod tests;
