//! PID 1: a small supervisor of plain threads that turns a kernel into a machine with one service.
//!
//! It mounts what lives in memory, loads drivers for what is there and what comes, reads the OVF environment, brings
//! the network up, mounts the state disk, runs the service as its child, shows on the consoles how things are, feeds
//! the watchdogs as long as the service lives, and takes the machine down in order. It never ends, and answers every
//! failure with a check that says what is wrong and what to do.
//!
//! Start with [`supervisor`]: it owns what is known, and all other parts send it [`event`]s.

pub mod child;
pub mod cmdline;
pub mod console;
pub mod devices;
pub mod dhcp;
pub mod display;
pub mod environment;
pub mod event;
pub mod factory_reset;
pub mod journal;
pub mod kept_network;
pub mod kept_role;
pub mod last_start;
pub mod menu;
pub mod modules;
pub mod mounts;
pub mod netlink;
pub mod network;
pub mod power;
pub mod reaper;
pub mod rescue;
pub mod shutdown;
pub mod state;
pub mod supervisor;
pub mod terminal;
pub mod uevent;
pub mod watchdog;

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::clock::Clock;
use crate::log;
use crate::product::{PROGRAM_VERSION, Product};
use cmdline::Cmdline;
use event::{Event, QUEUE};
use journal::Journal;
use supervisor::Supervisor;

/// Whether this process is an appliance's PID 1. In a container the service may have that number under its own name.
pub fn is_called() -> bool {
    let name = std::env::args_os().next();
    let name = name.as_deref().map(Path::new).and_then(Path::file_name);
    std::process::id() == 1 && name.is_some_and(|name| name == "init")
}

/// Runs the machine.
pub fn run() -> ! {
    report_panics();
    let failures = mounts::early();
    let journal = Journal::start(Clock::System);
    let no_journal = journal.as_ref().err().map(ToString::to_string);
    let journal = journal.ok();
    if let Err(error) = console::start(journal.clone()) {
        log::error(format_args!("console: {error}"));
    }
    if let Some(error) = no_journal {
        log::error(format_args!("the log is not kept: {error}"));
    }
    for failure in failures {
        log::error(failure.chain());
    }
    let cmdline = Cmdline::read();
    log::info(format_args!(
        "boot version={PROGRAM_VERSION} slot={} try={}",
        cmdline.slot.map_or("-", image::slot::Slot::as_str),
        u8::from(cmdline.on_trial),
    ));
    let product = Product::read(Path::new(crate::product::PATH)).unwrap_or_else(|error| {
        log::warn(error.chain());
        Product::default()
    });
    let (sender, events) = sync_channel(QUEUE);
    start_threads(&sender);

    terminal::start(&sender);
    Supervisor::new(events, sender, cmdline, product, journal).run()
}

fn start_threads(events: &SyncSender<Event>) {
    if let Err(error) = crate::entropy::collect() {
        log::warn(format_args!("randomness is not collected ahead: {error}"));
    }
    if let Err(error) = catch_signals(events.clone()) {
        log::error(format_args!("signals cannot be caught: {error}"));
    }
    // Without this the kernel restarts the machine at Ctrl-Alt-Del and leaves the state disk as it is.
    if let Err(error) = rustix::system::reboot(rustix::system::RebootCommand::CadOff) {
        log::warn(format_args!("Ctrl-Alt-Del stays the kernel's: {error}"));
    }
    if let Err(error) = devices::start(events.clone()) {
        log::error(format_args!("devices cannot be watched: {error}"));
    }
}

fn catch_signals(events: SyncSender<Event>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGCHLD, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, power::SIGPWR])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if events.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// A panic of PID 1 is one of the kernel, which restarts the machine: its words go where they are still printed.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let line = format!("<2>vcc: PID 1 panics: {panic}\n").replace('\n', " ");
        let _ = std::fs::write("/dev/kmsg", line.trim_end());
    }));
}
