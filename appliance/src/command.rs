//! The command line of `vcc` outside PID 1, and the three names by which a machine is stopped.

mod up;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use rustix::process::{Pid, Signal, kill_process};

use crate::log;
use crate::role::Role;
use crate::service::{self, Fault, Listen};

/// The connector between clouds: keeps, moves and verifies virtual appliances.
///
/// It runs inside its own appliance, where the machine starts it, and as an ordinary service.
#[derive(Debug, Parser)]
#[command(name = "vcc", version, max_term_width = 100)]
struct Command {
    #[command(subcommand)]
    role: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Run as a node, which sits beside a cloud's manager and moves packages in and out of it.
    Node(Service),
    /// Run as the server, which keeps the catalog and orders the work of its nodes.
    Server(Service),
    /// Run as a service provider's gateway for the nodes of its tenants.
    Sp(Service),
    /// Run a server and two nodes, each in a cloud of its own, on this machine: to try everything out.
    Up(up::Up),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  vcc node --state /var/lib/vcc --listen 127.0.0.1:8443\n  \
    curl --insecure https://127.0.0.1:8443/api/v1/about\n\n\
    The line `vcc: listening` on standard error names the address and the certificate's fingerprint.\n\
    SIGTERM and SIGINT stop the service."
)]
struct Service {
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

    /// Fail on purpose, for tests: wedge-after=SECONDS or exit-after=SECONDS.
    #[arg(long, value_name = "FAULT", hide_short_help = true)]
    fault: Option<Fault>,
}

/// Does what the arguments, the program's name first, ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    if let Some(signal) = name.and_then(|name| stop_signal(name.to_str()?)) {
        return stop(signal);
    }
    match Command::try_parse_from(arguments) {
        Ok(command) => serve(command.role),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
    }
}

/// The signal by which PID 1 is asked to stop the machine; BusyBox's init takes the same ones.
pub(crate) fn stop_signal(name: &str) -> Option<Signal> {
    match name {
        "halt" => Some(Signal::USR1),
        "poweroff" => Some(Signal::USR2),
        "reboot" => Some(Signal::TERM),
        _ => None,
    }
}

fn stop(signal: Signal) -> ExitCode {
    match kill_process(Pid::INIT, signal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(format_args!("PID 1 cannot be asked to stop the machine: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(part: Part) -> ExitCode {
    let (role, arguments) = match part {
        Part::Node(arguments) => (Role::Node, arguments),
        Part::Server(arguments) => (Role::Server, arguments),
        Part::Sp(arguments) => (Role::Sp, arguments),
        Part::Up(up) => return up::run(&up),
    };
    let options = service::Options {
        role,
        state: arguments.state,
        listen: arguments.listen,
        machine: arguments.machine,
        heartbeat: arguments.heartbeat_fd,
        fault: arguments.fault,
    };
    match service::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(error.chain());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory as _;
        Command::command().debug_assert();
    }

    #[test]
    fn a_state_directory_is_asked_for_and_a_bad_address_refused() {
        for arguments in [
            &["vcc", "node"][..],
            &["vcc", "node", "--state", "/s", "--listen", "localhost:443"],
            &["vcc", "node", "--state", "/s", "--heartbeat-fd", "-1"],
            &["vcc", "manager", "--state", "/s"],
        ] {
            assert!(Command::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
        assert!(Command::try_parse_from(["vcc", "sp", "--state", "/s"]).is_ok());
    }

    #[test]
    fn only_the_three_names_stop_a_machine() {
        assert_eq!(stop_signal("poweroff"), Some(Signal::USR2));
        assert_eq!(stop_signal("vcc"), None);
    }
}
