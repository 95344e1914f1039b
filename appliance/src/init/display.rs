//! What the consoles show, printed again when it changes.

use std::time::Duration;

use super::console;
use crate::check::{self, Check, Outcome};
use crate::log;
use crate::machine::{Beat, Machine};
use crate::role::Role;

/// Knows what was printed last.
#[derive(Debug, Default)]
pub struct Display {
    machine: Option<Machine>,
    beat: Option<Beat>,
    checks: Vec<Check>,
}

impl Display {
    /// Prints the banner and the lines for programs (see [`console`]) if they say something new.
    pub fn show(&mut self, machine: &Machine, role: Role, beat: &Beat) {
        let mut checks = machine.checks.clone();
        for check in &beat.checks {
            check::merge(&mut checks, check.clone());
        }
        // Checks are compared once, and without what changes all the time while they pass.
        let checks = told(checks);
        let bare_machine = Some(Machine {
            checks: Vec::new(),
            ..machine.clone()
        });
        let bare_beat = Some(Beat {
            checks: Vec::new(),
            ..beat.clone()
        });
        if (&self.machine, &self.beat, &self.checks) == (&bare_machine, &bare_beat, &checks) {
            return;
        }
        announce_checks(&self.checks, &checks);
        log::block(&console::banner(machine, role, beat, &checks));
        announce(machine, beat, &checks);
        (self.machine, self.beat, self.checks) = (bare_machine, bare_beat, checks);
    }
}

/// Seconds since the kernel started.
pub fn uptime() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(now).unwrap_or_default().as_secs_f64()
}

fn told(checks: Vec<Check>) -> Vec<Check> {
    let quiet = |check: Check| match check.status {
        Outcome::Pass => Check::pass(&check.name, ""),
        Outcome::Warn | Outcome::Fail => check,
    };
    checks.into_iter().map(quiet).collect()
}

fn announce_checks(before: &[Check], now: &[Check]) {
    for check in now {
        let old = before.iter().find(|old| old.name == check.name);
        let was_well = old.is_none_or(|old| old.status == Outcome::Pass);
        if old == Some(check) || (was_well && check.status == Outcome::Pass) {
            continue;
        }
        log::info(format_args!(
            "check name={} status={} reason={:?}",
            check.name,
            check.status.as_str(),
            check.reason
        ));
    }
}

fn announce(machine: &Machine, beat: &Beat, checks: &[Check]) {
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check.status == Outcome::Fail)
        .map(|check| check.name.as_str())
        .collect();
    let fingerprint = &beat.fingerprint;
    if let Some(code) = &beat.setup_code {
        log::info(format_args!("set-up code={code}"));
    }
    for address in &machine.addresses {
        if failed.is_empty() {
            let uptime = uptime();
            log::info(format_args!(
                "ready address={address} fingerprint={fingerprint} uptime={uptime:.2}"
            ));
        } else {
            let failed = failed.join(",");
            log::info(format_args!(
                "degraded address={address} fingerprint={fingerprint} failed={failed}"
            ));
        }
    }
}
