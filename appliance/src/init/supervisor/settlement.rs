//! Acting on what is known: the network, the service's role, and what the next start is told.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Supervisor;
use super::intent::Environment;
use crate::addressing::Addressing;
use crate::hostname::Hostname;
use crate::init::environment::Findings;
use crate::init::last_start::LastStart;
use crate::init::state::{self, Search};
use crate::log;

/// How long an address may take before its lack is news.
const ADDRESS_WAIT: Duration = Duration::from_secs(5);

impl Supervisor {
    /// The environment was read.
    pub(super) fn configure(&mut self, findings: Box<Findings>) {
        self.intent.environment = Environment::Known(findings);
        self.calm_at = Some(Instant::now() + ADDRESS_WAIT);
        self.settle_settings();
    }

    /// The state disk was looked for.
    pub(super) fn found(&mut self, search: Search) {
        let late = self.service.is_running();
        if let Some(mounted) = self.disk.found(search) {
            if let Some(journal) = &self.journal {
                journal.mounted(Path::new(state::MOUNT_POINT));
            }
            if late {
                log::info("the state disk came late; the service starts again with it");
                self.restart_service();
            }
            self.intent.last = mounted.last;
            self.intent.given = mounted.given;
            self.intent.network = mounted.network;
            self.intent.chosen = mounted.role;
            self.settle_settings();
        }
        if self.disk.is_to_be_looked_for_again() {
            self.disk.look(&self.sender);
        }
    }

    /// Goes by what is known now, the last start's or the environment's: a service that plays another role starts again.
    pub(super) fn settle_settings(&mut self) {
        self.intent.fall_back();
        let Some(findings) = self.intent.findings() else {
            if let (Some(last), Some(network)) = (self.intent.presumed_dhcp(), &mut self.network) {
                network.presume_dhcp(last.hostname.clone());
            }
            return;
        };
        let role = self.intent.role_by(findings);
        let addressing = self.intent.addressing(&findings.settings);
        let this = LastStart::of(role, &findings.settings, addressing);
        // The state disk may say otherwise yet, and what is chosen may be another machine's by then.
        if self.disk.check().is_some() || addressing.is_harmless() {
            let (hostname, addressing) = (findings.settings.hostname.clone(), addressing.clone());
            self.apply_network(hostname, &addressing);
        }
        if self.service.role().is_some_and(|played| played != role) {
            log::info(format_args!(
                "the role is {role}; the service starts again with it"
            ));
            self.restart_service();
        }
        if self.disk.is_mounted() && self.intent.last.as_ref() != Some(&this) {
            this.clone().remember();
            self.intent.last = Some(this);
        }
        if self.disk.is_mounted()
            && let Some(given) = self.intent.newly_given()
        {
            given.remember(Path::new(state::MOUNT_POINT));
        }
    }

    fn apply_network(&mut self, hostname: Option<Hostname>, addressing: &Addressing) {
        let hostname = match &mut self.network {
            Some(network) => network.configure(hostname, addressing),
            None => hostname.unwrap_or_default(),
        };
        if let Err(error) = rustix::system::sethostname(hostname.as_str().as_bytes()) {
            log::warn(format_args!("the kernel refuses the host name: {error}"));
        }
        self.machine.hostname = hostname;
    }

    fn restart_service(&mut self) {
        self.service.signal(Signal::TERM);
        self.beat = None;
    }
}
