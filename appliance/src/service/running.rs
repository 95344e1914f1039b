//! A service that runs, from its first answer to its last.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Context, Options, rotating};
use crate::error::Result;
use crate::http::{Limits, Server};
use crate::role::Role;

/// The most connections of a server at once.
const SERVER_CONNECTIONS: usize = 2048;

/// A service that listens and does its work.
#[derive(Debug)]
pub struct Running {
    context: Arc<Context>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    works: Vec<JoinHandle<()>>,
}

impl Running {
    /// Opens the state directory and listens.
    ///
    /// # Errors
    /// [`Kind::Listen`](crate::error::Kind::Listen), [`Kind::StateLocked`](crate::error::Kind::StateLocked),
    /// [`Kind::Tls`](crate::error::Kind::Tls), or [`Kind::Identity`](crate::error::Kind::Identity) where there is no randomness.
    pub async fn start(options: &Options) -> Result<Self> {
        let context = Context::open(options.role, &options.state, options.machine.clone())?;
        context.raise_time();
        let context = Arc::new(context.with_ground().await);
        let server = Server {
            tls: context.tls()?,
            router: crate::pages::over(Arc::clone(&context), crate::api::router(Arc::clone(&context))),
            uploads: crate::api::takes_file,
            connections: Arc::clone(context.connections()),
            limits: Limits {
                connections: super::files::room_for(match options.role {
                    // Each of its nodes keeps a connection.
                    Role::Server => SERVER_CONNECTIONS,
                    Role::Node | Role::Sp => Limits::default().connections,
                }),
                ..Limits::default()
            },
        };
        let listener = options.listen.bind()?;
        if let Some(ground) = context.ground() {
            ground.peering.listens_on(listener.address.port());
        }
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(server.serve(listener.socket, stopped));
        let mut works = vec![
            tokio::spawn(crate::timekeeping::run(Arc::clone(&context))),
            tokio::spawn(crate::syslog::start(Arc::clone(&context))),
            tokio::spawn(super::vigil::run(Arc::clone(&context))),
        ];
        match context.role() {
            Role::Server => works.extend([
                tokio::spawn(rotating::run(Arc::clone(&context))),
                tokio::spawn(crate::transfer::tend(Arc::clone(&context))),
            ]),
            Role::Node | Role::Sp => works.extend([
                tokio::spawn(crate::enrolment::follow(Arc::clone(&context))),
                tokio::spawn(crate::catalog::keep(Arc::clone(&context))),
            ]),
        }
        Ok(Self {
            context,
            address: listener.address,
            stop,
            server,
            works,
        })
    }

    /// What every request can ask about.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Where it listens, with the port that was really taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what was asked, and closes everything.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        if let Some(ground) = self.context.ground() {
            ground.nudges.wake_all();
        }
        let _ = self.server.await;
        for work in &self.works {
            work.abort();
        }
        for work in self.works {
            // It has let go of the database when it has ended.
            let _ = work.await;
        }
        self.context.keep_time();
        if let Some(ground) = self.context.ground() {
            ground.database.close().await;
        }
    }
}
