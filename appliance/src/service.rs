//! The service: one process that answers over HTTPS, in an appliance and outside it.
//!
//! It opens the state directory, takes or makes its identity, listens, and answers until it is told to stop. A state
//! directory that cannot be used does not keep it from answering: it then lives on an identity in memory, and
//! `/readyz` says why.

mod console_log;
mod context;
mod fault;
mod files;
mod findings;
mod ground;
mod heartbeat;
mod listener;
mod rotating;
mod running;
mod vigil;

use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

pub use context::{Context, View};
pub use fault::Fault;
pub(crate) use findings::remedy;
pub use ground::Ground;
pub use listener::Listen;
pub(crate) use rotating::proceed as take_step;
pub use rotating::run as rotate;
pub use running::Running;

use crate::error::{Error, Kind, Result};
use crate::log;
use crate::role::Role;
use console_log::ConsoleLog;
use heartbeat::Heartbeat;

/// How long the last lines of the log may take to be forwarded.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// How to run the service.
#[derive(Debug, Clone)]
pub struct Options {
    /// The part to play.
    pub role: Role,
    /// The state directory.
    pub state: PathBuf,
    /// Where to serve HTTPS; port 0 takes any free one, which the `listening` line on standard error names.
    pub listen: Listen,
    /// PID 1's report, in an appliance.
    pub machine: Option<PathBuf>,
    /// The descriptor, open for reading, that gives what all that share the consoles print.
    pub log: Option<i32>,
    /// The descriptor, open for writing, that takes a beat every five seconds.
    pub heartbeat: Option<i32>,
    /// A failure to make on purpose.
    pub fault: Option<Fault>,
}

/// Runs the service until SIGTERM or SIGINT.
///
/// # Errors
/// [`Kind::Listen`], [`Kind::StateLocked`], [`Kind::Tls`], or [`Kind::Identity`] where there is no randomness.
pub fn run(options: &Options) -> Result<()> {
    runtime()?.block_on(serve(options))
}

/// What services run on: one thread, for they wait most of the time.
///
/// # Errors
/// [`Kind::Io`].
pub(crate) fn runtime() -> Result<Runtime> {
    crate::entropy::wait();
    crate::sys::return_large_blocks();
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|e| Error::new(Kind::Io, "runtime", "cannot start").because(e))
}

async fn serve(options: &Options) -> Result<()> {
    let heartbeat = options.heartbeat.map(Heartbeat::open).transpose()?;
    let console = options.log.map(ConsoleLog::open).transpose()?;
    let running = Running::start(options).await?;
    if let Some(console) = console {
        tokio::spawn(console.relay());
    }
    if let Some(fault) = options.fault {
        tokio::spawn(fault.strike());
    }
    let context = running.context();
    // An appliance shows it on its consoles.
    if let Some(code) = context.setup_code().filter(|_| !context.is_appliance()) {
        log::info(format_args!("set-up code={code}"));
    }
    log::info(format_args!(
        "listening address={} fingerprint={} role={}",
        running.address(),
        context.identity().fingerprint(),
        options.role,
    ));
    let cause = tokio::select! {
        cause = told_to_stop() => cause?,
        never = heartbeat::run(heartbeat, context) => match never {},
    };
    log::info(format_args!("stopping cause={cause}"));
    if context.forwarding().status().is_at_work() {
        // What was told last is on its way to the syslog server.
        tokio::time::sleep(LAST_WORDS).await;
    }
    running.stop().await;
    Ok(())
}

/// Waits for SIGTERM or SIGINT.
///
/// # Errors
/// [`Kind::Io`] where they can't be caught.
pub(crate) async fn told_to_stop() -> Result<&'static str> {
    let listen =
        |kind| signal(kind).map_err(|e| Error::new(Kind::Io, "signals", "cannot be caught").because(e));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
