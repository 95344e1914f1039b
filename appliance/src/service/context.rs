//! What every request can ask about: the identity, the store, the machine, and how they are right now.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Ground;
use super::findings::{count, open_store, remedy, take_identity};
use crate::authority::{Issuing, Keys};
use crate::blob::Blobs;
use crate::catalog::Intake;
use crate::check::{self, Check, STATE_DISK};
use crate::clock::Clock;
use crate::enrolment;
use crate::error::Result;
use crate::file;
use crate::hostname::Hostname;
use crate::http::connections::Connections;
use crate::http::requests::Requests;
use crate::http::tls::Tls;
use crate::identity::Identity;
use crate::log;
use crate::machine::{Beat, Machine};
use crate::recovery;
use crate::resolver::Resolver;
use crate::role::Role;
use crate::store::{Space, Store};
use crate::syslog::Forwarding;
use crate::timekeeping::{Timekeeping, floor};
use time::OffsetDateTime;
use tokio::sync::Notify;
use uuid::Uuid;

/// The name of the check that fails while PID 1's report cannot be read.
const MACHINE: &str = "machine";
/// The name of the check that fails while the database cannot be used.
const DATABASE: &str = "database";
/// The name of the check that fails while a node's catalogs cannot keep files.
const CATALOGS: &str = "catalogs";
/// The name of the check that fails while a server's authority cannot be used.
const AUTHORITY: &str = "authority";

/// Where the kernel tells it.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The running service, shared by all requests.
#[derive(Debug)]
pub struct Context {
    role: Role,
    identity: Identity,
    store: Option<Store>,
    ground: Option<Ground>,
    issuing: Option<Arc<Issuing>>,
    begun: Arc<Notify>,
    boots: u64,
    /// What was found when the service started and cannot change while it runs.
    findings: Vec<Check>,
    /// How often it wrote the machine's network settings.
    network_changes: AtomicU64,
    /// Likewise its role.
    role_changes: AtomicU64,
    /// How the database was when it was last looked at.
    database: Mutex<Option<Check>>,
    machine: Option<PathBuf>,
    connections: Arc<Connections>,
    requests: Requests,
    timekeeping: Timekeeping,
    forwarding: Forwarding,
    started: Instant,
    /// The kernel's identifier of this boot.
    boot_id: Option<Uuid>,
    start_id: Uuid,
}

/// How everything is at one moment.
#[derive(Debug, Clone)]
pub struct View {
    /// The machine, from PID 1's report, or what an ordinary process knows of it.
    pub machine: Machine,
    /// All checks.
    pub checks: Vec<Check>,
    /// Room in the state directory, if there is one in use.
    pub space: Option<Space>,
    /// Starts of the machine; of the service, outside an appliance.
    pub boots: u64,
}

impl Context {
    /// Opens the state directory and takes the identity, or makes do without and notes why.
    ///
    /// # Errors
    /// [`Kind::StateLocked`](crate::error::Kind::StateLocked), and [`Kind::Identity`](crate::error::Kind::Identity) where not even an identity in memory can be made.
    pub fn open(role: Role, state: &Path, machine: Option<PathBuf>) -> Result<Self> {
        let report = machine.as_deref().map(Machine::read).transpose();
        let report = report.unwrap_or_else(|e| {
            log::error(e.chain());
            Some(Machine::default())
        });
        let mut findings = Vec::new();
        let hostname = hostname(report.as_ref());
        let store = match &report {
            // Without the disk its directory is a place in memory that must not be written.
            Some(report) if !report.state.mounted => None,
            _ => open_store(state, &mut findings)?,
        };
        let boots = match (&report, &store) {
            (None, Some(store)) => count(store, &mut findings),
            _ => 0,
        };
        let identity = take_identity(store.as_ref(), &hostname, &mut findings)?;
        for finding in &findings {
            if finding.status != check::Outcome::Pass {
                log::error(format_args!("{}: {}", finding.name, finding.reason));
            }
        }
        Ok(Self {
            role,
            identity,
            store,
            ground: None,
            issuing: None,
            begun: Arc::default(),
            boots,
            findings,
            network_changes: AtomicU64::new(0),
            role_changes: AtomicU64::new(0),
            database: Mutex::default(),
            machine,
            connections: Arc::default(),
            requests: Requests::default(),
            timekeeping: Timekeeping::default(),
            forwarding: Forwarding::default(),
            started: Instant::now(),
            boot_id: std::fs::read_to_string(BOOT_ID)
                .ok()
                .and_then(|text| text.trim().parse().ok()),
            start_id: Uuid::new_v4(),
        })
    }

    /// The kernel's identifier of this boot.
    pub fn boot_id(&self) -> Option<Uuid> {
        self.boot_id
    }

    /// Made when the service started, and kept in memory alone: it tells one that was started again from one that went on.
    pub fn start_id(&self) -> Uuid {
        self.start_id
    }

    /// The same, with its database open; without it, where the database can't be used.
    pub async fn with_ground(mut self) -> Self {
        if let Some(store) = &self.store {
            match Ground::open(store).await {
                Ok(mut ground) => {
                    ground.resolver = self.resolver();
                    if self.role == Role::Server {
                        match issuing(&ground, &self.identity).await {
                            Ok(issuing) => self.issuing = Some(Arc::new(issuing)),
                            Err(error) => {
                                log::error(error.chain());
                                let remedy = "Restore the state disk from a backup.";
                                let failed = Check::fail(AUTHORITY, error.chain().to_string(), remedy);
                                self.findings.push(failed);
                            }
                        }
                    }
                    if self.role != Role::Server {
                        ground.intake = self.intake();
                        if let Err(error) = enrolment::be_known(&ground).await {
                            log::error(error.chain());
                        }
                    }
                    self.ground = Some(ground);
                }
                Err(error) => {
                    log::error(error.chain());
                    let failed = Check::fail(DATABASE, error.chain().to_string(), remedy(&error));
                    self.findings.push(failed);
                }
            }
        }
        self
    }

    /// The large files of a node; none where they can't be had.
    fn intake(&mut self) -> Option<Intake> {
        match Blobs::open(self.store.as_ref()?.root()) {
            Ok(blobs) => Some(Intake::new(blobs)),
            Err(error) => {
                log::error(error.chain());
                let failed = Check::fail(CATALOGS, error.chain().to_string(), remedy(&error));
                self.findings.push(failed);
                None
            }
        }
    }

    /// The same, by another clock.
    #[must_use]
    pub fn on_clock(mut self, clock: Clock) -> Self {
        if let Some(ground) = &mut self.ground {
            ground.clock = clock;
        }
        self
    }

    /// What it works on, if its state can be used.
    pub fn ground(&self) -> Option<&Ground> {
        self.ground.as_ref()
    }

    /// The server's authority, if it is a server and its state can be used.
    pub fn issuing(&self) -> Option<&Arc<Issuing>> {
        self.issuing.as_ref()
    }

    /// How it takes connections.
    ///
    /// # Errors
    /// [`Kind::Tls`](crate::error::Kind::Tls).
    pub fn tls(&self) -> Result<Tls> {
        let tls = Tls::new(&self.identity)?;
        Ok(match (&self.issuing, &self.ground) {
            (Some(issuing), _) => tls.with_nodes(Arc::clone(issuing)),
            (None, Some(ground)) if self.role != Role::Server => tls.with_peers(Arc::clone(&ground.peering)),
            (None, _) => tls,
        })
    }

    /// Tells whoever follows the enrolment that there is a new one.
    pub fn enrolment_begun(&self) {
        self.begun.notify_one();
    }

    /// What tells of a new enrolment.
    pub(crate) fn begun(&self) -> Arc<Notify> {
        Arc::clone(&self.begun)
    }

    /// Whether there is no state at all, and so no administrator.
    pub fn is_new(&self) -> bool {
        self.store.is_none()
    }

    /// The code by which it can be set up.
    pub fn setup_code(&self) -> Option<String> {
        self.ground.as_ref()?.setup.code().map(ToString::to_string)
    }

    /// A line for whoever comes by.
    pub fn notice(&self) -> Option<String> {
        self.ground.as_ref()?.settings.borrow().notice.clone()
    }

    /// The part that this connector plays.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// PID 1 is ours and reports.
    pub fn is_appliance(&self) -> bool {
        self.machine.is_some()
    }

    /// Whether whoever sets it up chooses its role.
    pub fn role_is_open(&self) -> bool {
        self.store.is_some() && self.machine().role_is_open
    }

    /// The state directory, where one is in use.
    pub fn state_directory(&self) -> Option<&Path> {
        self.store.as_ref().map(Store::root)
    }

    /// Whether PID 1 made this code for an administrator's new password, and it is still good.
    pub fn is_recovery_code(&self, typed: &str) -> bool {
        let directory = self.machine.as_deref().and_then(Path::parent);
        directory.is_some_and(|directory| recovery::is_good(directory, typed, since_boot()))
    }

    /// Likewise, and uses it up.
    pub fn claim_recovery_code(&self, typed: &str) -> bool {
        let directory = self.machine.as_deref().and_then(Path::parent);
        directory.is_some_and(|directory| recovery::claim(directory, typed, since_boot()))
    }

    /// Its open connections.
    pub fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// Its count of requests.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// How the clock stands.
    pub fn timekeeping(&self) -> &Timekeeping {
        &self.timekeeping
    }

    /// How forwarding the log stands.
    pub fn forwarding(&self) -> &Forwarding {
        &self.forwarding
    }

    /// What makes addresses of names here.
    pub fn resolver(&self) -> Resolver {
        self.machine
            .clone()
            .map_or_else(Resolver::default, Resolver::of_machine)
    }

    /// The machine as it is now.
    pub fn machine(&self) -> Machine {
        self.report().0
    }

    /// Brings a clock that is the machine's own up to the time that was last kept.
    pub(crate) fn raise_time(&self) {
        if let Some(state) = self.floor() {
            floor::raise(state);
        }
    }

    /// Keeps the time for the next start, if the clock is the machine's own.
    pub(crate) fn keep_time(&self) {
        if let Some(state) = self.floor() {
            floor::keep(state);
        }
    }

    fn floor(&self) -> Option<&Path> {
        let store = self.store.as_ref()?;
        self.machine().own_clock.then(|| store.root())
    }

    /// How long the service has run.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Looks at everything anew.
    pub fn view(&self) -> View {
        let (machine, mut checks) = self.report();
        let mut own = self.findings.clone();
        if let Some(store) = &self.store {
            check::merge(&mut own, store.check());
        }
        if let Some(check) = machine.state.device.as_deref().and_then(recorded_errors) {
            check::merge(&mut own, check);
        }
        self.merge_what_runs(&mut own);
        for check in own {
            check::merge(&mut checks, check);
        }
        View {
            boots: self.boots.max(machine.state.boots),
            space: self.store.as_ref().and_then(|store| Space::of(store.root()).ok()),
            machine,
            checks,
        }
    }

    /// The sign of life for PID 1.
    pub fn beat(&self) -> Beat {
        let mut checks = self.findings.clone();
        if let Some(store) = &self.store {
            check::merge(&mut checks, store.check());
        }
        self.merge_what_runs(&mut checks);
        Beat {
            fingerprint: self.identity.fingerprint().to_string(),
            ephemeral: self.identity.is_ephemeral(),
            setup_code: self.setup_code(),
            notice: self.notice(),
            network_changes: self.network_changes.load(Ordering::Relaxed),
            role_changes: self.role_changes.load(Ordering::Relaxed),
            checks,
        }
    }

    fn merge_what_runs(&self, checks: &mut Vec<Check>) {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let forwarding = self.forwarding.status().check();
        let all = [database.clone(), Some(self.clock_check()), forwarding];
        for check in all.into_iter().flatten() {
            check::merge(checks, check);
        }
    }

    /// Looks whether the database can be written right now.
    pub async fn look_at_database(&self) {
        let (Some(ground), Some(store)) = (&self.ground, &self.store) else {
            return;
        };
        let check = match ground.database.probe(store.root()).await {
            Ok(()) => None,
            Err(error) => Some(Check::fail(DATABASE, error.chain().to_string(), remedy(&error))),
        };
        let mut known = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*known, &check) {
            (None, Some(check)) => log::error(format_args!("{DATABASE}: {}", check.reason)),
            (Some(_), None) => log::info("the database can be used again"),
            _ => {}
        }
        *known = check;
    }

    /// Tells PID 1, with the next sign of life, to go by what `network.json` says now.
    pub fn network_changed(&self) {
        self.network_changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells PID 1, likewise, that the role may be another by now: it starts the service again if it is.
    pub fn role_chosen(&self) {
        self.role_changes.fetch_add(1, Ordering::Relaxed);
    }

    fn clock_check(&self) -> Check {
        self.timekeeping.status().check(OffsetDateTime::now_utc())
    }

    fn report(&self) -> (Machine, Vec<Check>) {
        let ordinary = || Machine {
            hostname: hostname(None),
            ..Machine::default()
        };
        match self.machine.as_deref().map(Machine::read) {
            None => (ordinary(), Vec::new()),
            Some(Ok(machine)) => {
                let checks = machine.checks.clone();
                (machine, checks)
            }
            Some(Err(error)) => (
                ordinary(),
                vec![Check::fail(
                    MACHINE,
                    error.chain().to_string(),
                    "Restart the appliance.",
                )],
            ),
        }
    }
}

async fn issuing(ground: &Ground, identity: &Identity) -> Result<Issuing> {
    let now = ground.clock.now();
    let mut db = ground.database.begin().await?;
    let keys = Keys::open(&mut db, now).await?;
    db.commit().await?;
    Issuing::new(keys, identity.instance_id(), now)
}

fn hostname(report: Option<&Machine>) -> Hostname {
    match report {
        Some(report) => report.hostname.clone(),
        None => Hostname::of_this_machine().unwrap_or_default(),
    }
}

/// Time since the machine started: PID 1 goes by the same.
fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default()
}

/// Errors that ext4 counted on `device` since it was last repaired.
fn recorded_errors(device: &str) -> Option<Check> {
    let count = file::text(format!("/sys/fs/ext4/{device}/errors_count")).ok()?;
    (count != "0").then(|| {
        Check::warn(
            STATE_DISK,
            format!("the file system has recorded {count} errors"),
            "Back up the state disk, and check it with e2fsck on another machine.",
        )
    })
}
