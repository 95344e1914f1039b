//! PID 1's main loop: one thread owns all that is known about the machine, and everything else sends it news.
//!
//! ```text
//! devices ─┐                          ┌─► network, watchdogs, buttons
//! links ───┤                          │
//! dhcp ────┼─► Event ─► Supervisor ───┼─► environment ─┬─► service (state disk decided) ─► beats
//! state ───┤                          ├─► state disk ──┘
//! signals ─┘                          └─► machine.json, consoles
//! ```

mod disk;
mod intent;
mod report;
mod settlement;

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use signal_hook::consts::SIGCHLD;

use super::child::{Plan, Service};
use super::cmdline::Cmdline;
use super::devices::Arrival;
use super::display::Display;
use super::environment::{self, Findings, Settings};
use super::event::Event;
use super::journal::Journal;
use super::network::Network;
use super::power::{Buttons, Power};
use super::watchdog::Watchdogs;
use super::{display, kept_network, kept_role, reaper, shutdown};
use crate::check::{self, Check, NETWORK};
use crate::log;
use crate::machine::{self, Beat, Machine};
use crate::product::Product;
use crate::role::Role;
use disk::Disk;
use intent::{Environment, Intent};

/// Events that are taken in one turn at most.
const AT_ONCE: usize = 256;
/// Time between two feedings of the watchdogs.
const FEED: Duration = Duration::from_secs(5);
/// How long drivers may take before the environment is looked for all the same.
const DRIVERS: Duration = Duration::from_secs(60);

/// All that PID 1 knows.
pub struct Supervisor {
    events: Receiver<Event>,
    sender: SyncSender<Event>,
    cmdline: Cmdline,
    product: Product,
    /// The log on the state disk.
    journal: Option<Journal>,
    began: Instant,
    modules: Option<Check>,
    intent: Intent,
    disk: Disk,
    network: Option<Network>,
    network_failure: Option<Check>,
    watchdogs: Watchdogs,
    buttons: Buttons,
    service: Service,
    wedged: bool,
    beat: Option<Beat>,
    machine: Machine,
    /// What the service was last told.
    written: Option<Machine>,
    display: Display,
    /// When the consoles tell that there is no address.
    calm_at: Option<Instant>,
    power: Option<Power>,
}

impl Supervisor {
    /// Starts with nothing known.
    pub fn new(
        events: Receiver<Event>,
        sender: SyncSender<Event>,
        cmdline: Cmdline,
        product: Product,
        journal: Option<Journal>,
    ) -> Self {
        let now = Instant::now();
        let (network, network_failure) = match Network::start(sender.clone()) {
            Ok(network) => (Some(network), None),
            Err(error) => {
                log::error(error.chain());
                let remedy = "Restart the appliance; install it again if it stays so.";
                (
                    None,
                    Some(Check::fail(NETWORK, error.chain().to_string(), remedy)),
                )
            }
        };
        Self {
            service: Service::new(sender.clone(), journal.clone(), now),
            events,
            sender,
            cmdline,
            product,
            journal,
            began: now,
            modules: None,
            intent: Intent::default(),
            disk: Disk::default(),
            network,
            network_failure,
            watchdogs: Watchdogs::default(),
            buttons: Buttons::default(),
            wedged: false,
            beat: None,
            machine: Machine::default(),
            written: None,
            display: Display::default(),
            calm_at: None,
            power: None,
        }
    }

    /// Runs until the machine is to end, and ends it.
    pub fn run(mut self) -> ! {
        self.look_at_all();
        let power = loop {
            self.proceed(Instant::now());
            self.publish();
            if let Some(power) = self.power {
                break power;
            }
            match self.events.recv_timeout(self.patience(Instant::now())) {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => {}
                // This struct holds a sender itself: the queue cannot close.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(FEED),
            }
            // News without end keeps nobody from feeding the watchdogs, and what is looked at anew is looked at once.
            let mut links = false;
            for event in self.events.try_iter().take(AT_ONCE).collect::<Vec<_>>() {
                match event {
                    Event::Arrival(Arrival::Net) | Event::Links => links = true,
                    other => self.take(other),
                }
            }
            if links {
                self.look_at_links();
            }
        };
        shutdown::stop(
            power,
            &mut self.service,
            &self.events,
            self.watchdogs,
            self.journal.as_ref(),
        )
    }

    /// How long nothing has to be done.
    fn patience(&self, now: Instant) -> Duration {
        let service = self.service.due().filter(|_| self.role_to_serve().is_some());
        let calm = self.calm_at.filter(|&at| at > now);
        let times = [service, self.disk.due(), calm].into_iter().flatten();
        let waits = times.map(|time| time.saturating_duration_since(now));
        waits.min().unwrap_or(FEED).min(FEED)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Signal(SIGCHLD) => self.reap(),
            Event::Signal(signal) => self.power = self.power.or(Power::of_signal(signal)),
            Event::Network(kept) => {
                self.intent.network = *kept;
                self.settle_settings();
            }
            Event::Role(kept) => {
                let is_other = kept.role != self.intent.chosen.role;
                self.intent.chosen = *kept;
                if is_other {
                    self.settle_settings();
                }
            }
            Event::End(power) => self.power = self.power.or(Some(power)),
            Event::PowerButton => self.power = self.power.or(Some(Power::Off)),
            Event::Arrival(Arrival::Block) => self.disk.look(&self.sender),
            Event::Arrival(Arrival::Net) | Event::Links => self.look_at_links(),
            Event::Arrival(Arrival::Input) => self.buttons.look(&self.sender),
            Event::Arrival(Arrival::Watchdog) => self.watchdogs.look(),
            Event::Settled(drivers) => {
                log::info(format_args!(
                    "drivers modules={} uptime={:.2}",
                    drivers.loaded,
                    display::uptime()
                ));
                self.modules = Some(drivers.check);
                self.look_at_all();
                self.disk.look(&self.sender);
                self.settle(Instant::now());
            }
            Event::Environment(findings) => self.configure(findings),
            Event::State(search) => self.found(search),
            Event::Lease { interface, lease } => {
                if let Some(network) = &mut self.network {
                    network.lease(&interface, lease);
                }
            }
            Event::Beat(number, beat) => {
                if self.service.beat(number, Instant::now()) {
                    self.hear(beat);
                }
            }
        }
    }

    fn hear(&mut self, beat: Beat) {
        let changes = |beat: &Beat| (beat.network_changes, beat.role_changes);
        // One that starts has written nothing yet.
        let (network, role) = self.beat.as_ref().map_or((0, 0), changes);
        if beat.network_changes > network {
            kept_network::look(self.sender.clone());
        }
        if beat.role_changes > role {
            kept_role::look(self.sender.clone());
        }
        self.beat = Some(beat);
    }

    fn proceed(&mut self, now: Instant) {
        if matches!(self.intent.environment, Environment::Unread) && now >= self.began + DRIVERS {
            log::warn("the drivers take too long; going on with what is there");
            self.settle(now);
        }
        if self.disk.give_up_if_due(now) {
            self.settle_settings();
        }
        if let Some(role) = self.role_to_serve()
            && self.service.due().is_some_and(|due| now >= due)
        {
            let fault = self.cmdline.fault;
            let plan = Plan { role, fault };
            // The service reads the report when it starts.
            self.publish();
            self.service.start_if_due(now, plan);
        }
        self.guard(now);
    }

    /// Feeds the watchdogs as long as the service lives; where there is none, is the watchdog.
    fn guard(&mut self, now: Instant) {
        let wedged = self.service.is_wedged(now);
        let news = wedged && !self.wedged;
        self.wedged = wedged;
        if !wedged {
            self.watchdogs.feed();
        } else if self.watchdogs.is_empty() {
            log::error("the service gives no sign of life and is killed");
            self.service.signal(Signal::KILL);
        } else if news {
            log::error("the service gives no sign of life; the watchdog resets the machine");
        }
    }

    /// What the service is to be, once it may run: after the state disk was found or given up.
    fn role_to_serve(&self) -> Option<Role> {
        self.disk.check()?;
        self.intent.role()
    }

    fn look_at_all(&mut self) {
        self.watchdogs.look();
        self.buttons.look(&self.sender);
        self.look_at_links();
    }

    fn look_at_links(&mut self) {
        if let Some(network) = &mut self.network {
            network.look();
        }
    }

    /// All devices are there: the environment can be read, and the state disk has its last chance.
    fn settle(&mut self, now: Instant) {
        if !matches!(self.intent.environment, Environment::Unread) {
            return;
        }
        self.disk.settle(now);
        self.intent.environment = Environment::Reading;
        if let Err(error) = environment::start(self.sender.clone()) {
            log::error(format_args!("cannot read the environment: {error}"));
            let check = Check::fail(check::ENVIRONMENT, error.to_string(), "Restart the appliance.");
            let settings = Settings::default();
            let given = None;
            self.configure(Box::new(Findings {
                settings,
                check,
                given,
            }));
        }
    }

    fn reap(&mut self) {
        let ran = self.service.is_running();
        for ended in reaper::reap() {
            let now = Instant::now();
            if self.service.ended(&ended, now) {
                let restarts = self.service.deaths();
                log::error(format_args!(
                    "service exited cause={} restarts={restarts}",
                    ended.cause()
                ));
            }
        }
        if ran && !self.service.is_running() {
            self.beat = None;
            // It may have had no time to tell of a role that was chosen.
            if self.disk.is_mounted() {
                kept_role::look(self.sender.clone());
            }
        }
    }

    /// Tells the service and the consoles what is new.
    fn publish(&mut self) {
        self.machine = self.report();
        if self.written.as_ref() != Some(&self.machine) {
            match self.machine.write(Path::new(machine::PATH)) {
                Ok(()) => self.written = Some(self.machine.clone()),
                Err(error) => log::error(error.chain()),
            }
        }
        // Before the service answers and DHCP had its time, checks fail that will pass a moment later.
        let calm = !self.machine.addresses.is_empty() || self.calm_at.is_some_and(|at| Instant::now() >= at);
        if let (Some(beat), Some(findings), true) = (&self.beat, self.intent.findings(), calm) {
            self.display
                .show(&self.machine, self.intent.role_by(findings), beat);
        }
    }
}
