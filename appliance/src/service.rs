//! The service: one process that answers over HTTPS, in an appliance and outside it.
//!
//! It opens the state directory, takes or makes its identity, listens, and answers until it is told to stop. A state
//! directory that cannot be used does not keep it from answering: it then lives on an identity in memory, and
//! `/readyz` says why.

mod context;
mod fault;
mod ground;
mod heartbeat;
mod listener;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

pub(crate) use context::remedy;
pub use context::{Context, View};
pub use fault::Fault;
pub use ground::Ground;
pub use listener::Listen;

use crate::error::{Error, Kind, Result};
use crate::http::{Limits, Server};
use crate::log;
use crate::role::Role;
use heartbeat::Heartbeat;

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
    /// The descriptor, open for writing, that takes a beat every five seconds.
    pub heartbeat: Option<i32>,
    /// A failure to make on purpose.
    pub fault: Option<Fault>,
}

/// The most connections of a server at once.
const SERVER_CONNECTIONS: usize = 2048;

/// Runs the service until SIGTERM or SIGINT.
///
/// # Errors
/// [`Kind::Listen`], [`Kind::StateLocked`], [`Kind::Tls`], or [`Kind::Identity`] where there is no randomness.
pub fn run(options: &Options) -> Result<()> {
    crate::entropy::wait();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|e| Error::new(Kind::Io, "runtime", "cannot start").because(e))?;
    runtime.block_on(serve(options))
}

async fn serve(options: &Options) -> Result<()> {
    let heartbeat = options.heartbeat.map(Heartbeat::open).transpose()?;
    let context = Context::open(options.role, &options.state, options.machine.clone())?;
    context.raise_time();
    let context = Arc::new(context.with_ground().await);
    let server = Server {
        tls: context.tls()?,
        router: crate::api::router(Arc::clone(&context)),
        connections: Arc::clone(context.connections()),
        limits: match options.role {
            // Each of its nodes keeps a connection.
            Role::Server => Limits {
                connections: SERVER_CONNECTIONS,
                ..Limits::default()
            },
            Role::Node | Role::Sp => Limits::default(),
        },
    };
    let listener = options.listen.bind()?;
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(server.serve(listener.socket, stopped));
    if context.role() != Role::Server {
        tokio::spawn(crate::enrolment::follow(Arc::clone(&context)));
    }
    tokio::spawn(crate::timekeeping::run(Arc::clone(&context)));
    if let Some(fault) = options.fault {
        tokio::spawn(fault.strike());
    }
    // An appliance shows it on its consoles.
    if let Some(code) = context.setup_code().filter(|_| !context.is_appliance()) {
        log::info(format_args!("set-up code={code}"));
    }
    log::info(format_args!(
        "listening address={} fingerprint={} role={}",
        listener.address,
        context.identity().fingerprint(),
        options.role,
    ));
    let cause = tokio::select! {
        cause = told_to_stop() => cause?,
        never = heartbeat::run(heartbeat, &context) => match never {},
    };
    log::info(format_args!("stopping cause={cause}"));
    let _ = stop.send(true);
    if let Some(ground) = context.ground() {
        ground.nudges.wake_all();
    }
    let _ = server.await;
    context.keep_time();
    if let Some(ground) = context.ground() {
        ground.database.close().await;
    }
    Ok(())
}

async fn told_to_stop() -> Result<&'static str> {
    let listen =
        |kind| signal(kind).map_err(|e| Error::new(Kind::Io, "signals", "cannot be caught").because(e));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}
