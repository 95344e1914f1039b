//! The way down: the service ends, everything else is killed, the state disk is made clean, the machine stops.

use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::child::Service;
use super::event::Event;
use super::journal::Journal;
use super::power::Power;
use super::watchdog::Watchdogs;
use super::{reaper, state};
use crate::log;

/// How long the service may take to end its requests.
const GRACE: Duration = Duration::from_secs(10);
/// How long the killed may take to be gone.
const KILLED: Duration = Duration::from_secs(2);
/// Time between two looks at who is still there, and for the console to say its last.
const STEP: Duration = Duration::from_millis(50);

/// Stops the machine. The watchdogs guard the way down as well, and are closed last.
pub fn stop(
    power: Power,
    service: &mut Service,
    events: &Receiver<Event>,
    mut watchdogs: Watchdogs,
    journal: Option<&Journal>,
) -> ! {
    log::info(format_args!("power action={}", power.as_str()));
    service.signal(Signal::TERM);
    wait(service, events, &mut watchdogs, GRACE);
    if service.is_running() {
        log::warn("the service does not end and is killed");
        service.signal(Signal::KILL);
        wait(service, events, &mut watchdogs, KILLED);
    }
    kill_all(&mut watchdogs);
    // A file that is open would keep the disk from being unmounted.
    if let Some(journal) = journal {
        journal.close();
    }
    rustix::fs::sync();
    watchdogs.feed();
    match state::release() {
        Ok(true) => log::info("state unmounted"),
        Ok(false) => {}
        Err(error) => log::error(error.chain()),
    }
    rustix::fs::sync();
    // The console's thread needs a moment for what was just said.
    thread::sleep(STEP);
    watchdogs.close();
    loop {
        if let Err(error) = rustix::system::reboot(power.command()) {
            log::error(format_args!("the kernel refuses to {}: {error}", power.as_str()));
        }
        thread::sleep(GRACE);
    }
}

fn wait(service: &mut Service, events: &Receiver<Event>, watchdogs: &mut Watchdogs, limit: Duration) {
    let until = Instant::now() + limit;
    while service.is_running() && Instant::now() < until {
        watchdogs.feed();
        for ended in reaper::reap() {
            service.ended(&ended, Instant::now());
        }
        // News is of no use any more; taking it keeps its senders from waiting.
        let _ = events.recv_timeout(STEP);
    }
}

/// Kills what the service left behind.
fn kill_all(watchdogs: &mut Watchdogs) {
    let until = Instant::now() + KILLED;
    while Instant::now() < until {
        watchdogs.feed();
        reaper::reap();
        let others = others();
        if others.is_empty() {
            return;
        }
        for pid in others {
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(STEP);
    }
}

/// Every process but PID 1 and the kernel's own threads, which have no program.
fn others() -> Vec<rustix::process::Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|&number| number != 1)
        .filter(|number| std::fs::read_link(format!("/proc/{number}/exe")).is_ok())
        .filter_map(rustix::process::Pid::from_raw)
        .collect()
}
