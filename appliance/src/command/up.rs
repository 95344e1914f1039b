//! `vcc up`.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::log;
use crate::up::{self, Options, Told};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  vcc up\n  vcc up --state /tmp/try --json > where.json &\n\n\
    The first start makes the administrator and enrols the nodes; later ones go on with what is there.\n\
    It needs no network and serves on the loopback interface. SIGTERM and SIGINT (Ctrl-C) stop it."
)]
pub(super) struct Up {
    /// Directory for everything that outlives a restart; made if it is missing.
    ///
    /// Without it, `vcc/up` in $XDG_STATE_HOME or in ~/.local/state.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Where to serve HTTPS.
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,

    /// The server's port, at the first start; the nodes take the next two. 8443, if it is free.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Tell what the three do, on standard error.
    #[arg(long, short)]
    verbose: bool,
}

pub(super) fn run(arguments: &Up, json: bool) -> ExitCode {
    let Some(state) = arguments.state.clone().or_else(default_state) else {
        log::error("there is no home directory: say --state DIR");
        return ExitCode::from(2);
    };
    let options = Options {
        state,
        address: arguments.address,
        port: arguments.port,
    };
    if !arguments.verbose {
        log::be_quiet();
    }
    match up::run(&options, |told| tell(told, json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(error.chain());
            ExitCode::from(2)
        }
    }
}

fn tell(told: &Told, json: bool) {
    let text = match json {
        true => serde_json::to_string(told).unwrap_or_default(),
        false => told.to_string(),
    };
    // The three go on where nobody reads.
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

fn default_state() -> Option<PathBuf> {
    let named = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let states = named("XDG_STATE_HOME").or_else(|| Some(named("HOME")?.join(".local/state")));
    Some(states?.join("vcc/up"))
}
