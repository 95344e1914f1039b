//! `vcc server`, `vcc node` and `vcc sp`: the service.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::log;
use crate::role::Role;
use crate::service::{self, Fault, Listen};

#[derive(Debug, Args)]
#[group(id = "service")]
#[command(
    after_help = "Example:\n  vcc node --state /var/lib/vcc --listen 127.0.0.1:8443\n  \
    curl --insecure https://127.0.0.1:8443/api/v1/about\n\n\
    The line `vcc: listening` on standard error names the address and the certificate's fingerprint.\n\
    SIGTERM and SIGINT stop the service."
)]
pub(super) struct Arguments {
    /// Directory for everything that outlives a restart; made if it is missing.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,

    /// Where to serve HTTPS; port 0 takes any free port.
    #[arg(long, value_name = "IP:PORT", default_value = "[::]:443")]
    listen: Listen,

    /// The appliance's report about its machine, read at every request (written by the appliance's PID 1).
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    machine: Option<PathBuf>,

    /// Write a sign of life to this file descriptor every five seconds.
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(i32).range(0..))]
    heartbeat_fd: Option<i32>,

    /// Read what PID 1 and the service print from this file descriptor, and forward that.
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = clap::value_parser!(i32).range(0..))]
    log_fd: Option<i32>,

    /// Fail on purpose, for tests: wedge-after=SECONDS or exit-after=SECONDS.
    #[arg(long, value_name = "FAULT", hide_short_help = true)]
    fault: Option<Fault>,
}

impl Arguments {
    pub(super) fn run(self, role: Role) -> ExitCode {
        let options = service::Options {
            role,
            state: self.state,
            listen: self.listen,
            machine: self.machine,
            log: self.log_fd,
            heartbeat: self.heartbeat_fd,
            fault: self.fault,
        };
        match service::run(&options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                log::error(error.chain());
                ExitCode::FAILURE
            }
        }
    }
}
