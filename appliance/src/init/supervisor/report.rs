//! What PID 1 knows, as the service is told it.

use std::net::SocketAddr;

use super::Supervisor;
use crate::check::{self, Check, SERVICE};
use crate::init::network::Network;
use crate::machine::Machine;
use crate::proposal::Proposal;
use crate::timekeeping::NTP_PORT;

impl Supervisor {
    /// What the service is told.
    pub(super) fn report(&self) -> Machine {
        let network = self.network.as_ref();
        let mut checks = Vec::new();
        checks.extend(self.disk.check().cloned());
        checks.extend(network.map(Network::check).or(self.network_failure.clone()));
        checks.extend(self.intent.network.check.clone());
        let chosen = self.intent.chosen.check.clone();
        checks.extend(chosen.filter(|_| self.intent.is_role_open()));
        let (mut name_servers, mut ntp_servers) = (Vec::new(), Vec::new());
        let (mut proposal, mut syslog) = (Proposal::default(), None);
        if let Some(findings) = self.intent.findings() {
            checks.push(findings.check.clone());
            name_servers.clone_from(&self.intent.addressing(&findings.settings).name_servers);
            ntp_servers.clone_from(&findings.settings.ntp_servers);
            proposal.clone_from(&findings.settings.proposal);
            syslog.clone_from(&findings.settings.syslog);
        } else {
            checks.push(Check::fail(
                check::ENVIRONMENT,
                "it is not read yet",
                "Wait a few seconds.",
            ));
        }
        if name_servers.is_empty() {
            name_servers = network.map(Network::name_servers).unwrap_or_default();
        }
        if ntp_servers.is_empty() {
            let named = network.map(Network::ntp_servers).unwrap_or_default();
            let endpoint = |address| SocketAddr::new(address, NTP_PORT).into();
            ntp_servers = named.into_iter().map(endpoint).collect();
        }
        checks.extend(self.modules.clone());
        if self.service.deaths() > 0 {
            let reason = format!("deaths since the machine started: {}", self.service.deaths());
            checks.push(Check::warn(SERVICE, reason, "See the console's lines about it."));
        }
        Machine {
            product: self.product.clone(),
            hostname: self.machine.hostname.clone(),
            slot: self.cmdline.slot,
            on_trial: self.cmdline.on_trial,
            addresses: network.map(Network::addresses).unwrap_or_default(),
            name_servers,
            ntp_servers,
            syslog,
            role_is_open: self.disk.is_mounted() && self.intent.is_role_open(),
            proposal,
            own_clock: true,
            state: self.disk.state().clone(),
            watchdogs: self.watchdogs.identities(),
            service_restarts: self.service.deaths(),
            checks,
        }
    }
}
