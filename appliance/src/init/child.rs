//! The service as PID 1's child: started, listened to, started again when it dies.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};

use super::event::Event;
use super::journal::Journal;
use super::reaper::Ended;
use super::state;
use crate::error::{Error, Kind, Result};
use crate::log;
use crate::machine::{self, BEAT_LIMIT, Beat};
use crate::role::Role;
use crate::service::Fault;

/// PID 1's own program: the service is another process of it.
const PROGRAM: &str = "/proc/self/exe";
const LISTEN: &str = "[::]:443";
/// Without a beat for this long the service counts as wedged.
const PATIENCE: Duration = Duration::from_secs(30);
/// The wait before the service is started again, doubled with every death up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LAST_WAIT: Duration = Duration::from_secs(30);
/// A service that ran this long died of something else than the one before it.
const LONG_RUN: Duration = Duration::from_secs(120);

/// How to start it.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The part to play.
    pub role: Role,
    /// A failure to make on purpose.
    pub fault: Option<Fault>,
}

/// The service, running or not.
#[derive(Debug)]
pub struct Service {
    events: SyncSender<Event>,
    /// Whose lines it may forward.
    journal: Option<Journal>,
    running: Option<Running>,
    /// How many were started.
    number: u64,
    deaths: u64,
    wait: Duration,
    start_at: Instant,
}

#[derive(Debug)]
struct Running {
    pid: Pid,
    role: Role,
    since: Instant,
    last_beat: Instant,
    /// It was told to end: its end is no death.
    told: bool,
}

impl Service {
    /// Not running yet.
    pub fn new(events: SyncSender<Event>, journal: Option<Journal>, now: Instant) -> Self {
        Self {
            events,
            journal,
            running: None,
            number: 0,
            deaths: 0,
            wait: FIRST_WAIT,
            start_at: now,
        }
    }

    /// Whether there is a process.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The part that it plays, while it runs.
    pub fn role(&self) -> Option<Role> {
        self.running.as_ref().map(|running| running.role)
    }

    /// How often it died.
    pub fn deaths(&self) -> u64 {
        self.deaths
    }

    /// When it may be started; none while it runs.
    pub fn due(&self) -> Option<Instant> {
        self.running.is_none().then_some(self.start_at)
    }

    /// Starts it if it does not run and may.
    pub fn start_if_due(&mut self, now: Instant, plan: Plan) {
        if self.due().is_none_or(|due| now < due) {
            return;
        }
        self.number += 1;
        match spawn(self.number, plan, &self.events, self.journal.as_ref()) {
            Ok(pid) => {
                self.running = Some(Running {
                    pid,
                    role: plan.role,
                    since: now,
                    last_beat: now,
                    told: false,
                });
            }
            Err(error) => {
                log::error(error.chain());
                self.back_off(now);
            }
        }
    }

    /// The service of this number gave a sign of life. Tells whether that is the one that runs and is to go on.
    pub fn beat(&mut self, number: u64, now: Instant) -> bool {
        match &mut self.running {
            Some(running) if number == self.number && !running.told => {
                running.last_beat = now;
                true
            }
            _ => false,
        }
    }

    /// It runs and has given no sign of life for too long.
    pub fn is_wedged(&self, now: Instant) -> bool {
        let silent = |running: &Running| now.saturating_duration_since(running.last_beat) >= PATIENCE;
        self.running.as_ref().is_some_and(silent)
    }

    /// Sends it a signal; after SIGTERM its end is no death, and it is started again at once.
    pub fn signal(&mut self, signal: Signal) {
        if let Some(running) = &mut self.running {
            running.told |= signal == Signal::TERM;
            let _ = kill_process(running.pid, signal);
        }
    }

    /// A process ended. Tells whether it was the service, and died.
    pub fn ended(&mut self, ended: &Ended, now: Instant) -> bool {
        let Some(running) = self.running.take_if(|running| running.pid == ended.pid) else {
            return false;
        };
        if running.told {
            self.start_at = now;
            return false;
        }
        self.deaths += 1;
        if now.saturating_duration_since(running.since) >= LONG_RUN {
            self.wait = FIRST_WAIT;
        }
        self.back_off(now);
        true
    }

    fn back_off(&mut self, now: Instant) {
        self.start_at = now + self.wait;
        self.wait = (self.wait * 2).min(LAST_WAIT);
    }
}

fn spawn(number: u64, plan: Plan, events: &SyncSender<Event>, journal: Option<&Journal>) -> Result<Pid> {
    let failed = |e| Error::new(Kind::Io, "service", "cannot be started").because(e);
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    let (log, told) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| failed(e.into()))?;
    fcntl_setfl(&told, OFlags::NONBLOCK).map_err(|e| failed(e.into()))?;
    // The two descriptors that the service is to have beside the standard ones.
    for inherited in [&write, &log] {
        fcntl_setfd(inherited, FdFlags::empty()).map_err(|e| failed(e.into()))?;
    }
    let mut command = Command::new(PROGRAM);
    command
        .arg0("vcc")
        .arg(plan.role.as_str())
        .args(["--state", state::MOUNT_POINT])
        .args(["--listen", LISTEN])
        .args(["--machine", machine::PATH])
        .arg(format!("--heartbeat-fd={}", write.as_raw_fd()))
        .args(journal.map(|_| format!("--log-fd={}", log.as_raw_fd())))
        .args(plan.fault.map(|fault| format!("--fault={fault}")))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    listen(number, read, events.clone()).map_err(failed)?;
    // Its end is noticed by the reaper, whoever the dead process is.
    let child = command.spawn().map_err(failed)?;
    if let Some(journal) = journal {
        journal.follow(told);
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Error::new(Kind::Io, "service", "has no process id"))
}

/// Passes beats on until the pipe has no writer left.
fn listen(number: u64, pipe: OwnedFd, events: SyncSender<Event>) -> std::io::Result<()> {
    thread::Builder::new()
        .name("heartbeat".to_owned())
        .spawn(move || {
            let mut pipe = BufReader::new(File::from(pipe));
            let mut line = Vec::new();
            loop {
                line.clear();
                let limit = u64::try_from(BEAT_LIMIT).unwrap_or(u64::MAX);
                match pipe.by_ref().take(limit).read_until(b'\n', &mut line) {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
                if let Ok(beat) = Beat::parse(&line)
                    && events.send(Event::Beat(number, beat)).is_err()
                {
                    return;
                }
            }
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(now: Instant) -> Service {
        let (events, _) = std::sync::mpsc::sync_channel(1);
        let mut service = Service::new(events, None, now);
        service.number = 1;
        service.running = Some(Running {
            // No process has this number: the kernel's ceiling is 2^22.
            pid: Pid::from_raw(i32::MAX).unwrap(),
            role: Role::Node,
            since: now,
            last_beat: now,
            told: false,
        });
        service
    }

    #[test]
    fn silence_wedges_and_a_beat_of_another_service_does_not_help() {
        let now = Instant::now();
        let mut service = running(now);
        assert!(!service.is_wedged(now + Duration::from_secs(29)));
        assert!(!service.beat(0, now + Duration::from_secs(29)));
        assert!(service.is_wedged(now + Duration::from_secs(30)));
        assert!(service.beat(1, now + Duration::from_secs(29)));
        assert!(!service.is_wedged(now + Duration::from_secs(30)));
    }

    #[test]
    fn a_service_that_does_not_run_is_not_wedged() {
        let (events, _) = std::sync::mpsc::sync_channel(1);
        let now = Instant::now();
        let service = Service::new(events, None, now);
        assert!(!service.is_wedged(now + Duration::from_secs(3600)));
    }

    #[test]
    fn waits_between_starts_grow_to_half_a_minute() {
        let now = Instant::now();
        let mut service = running(now);
        let waits: Vec<_> = (0..9)
            .map(|_| {
                service.back_off(now);
                (service.start_at - now).as_millis()
            })
            .collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
    }
}
