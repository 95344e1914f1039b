//! What a connector with a state directory works on: its database, and what goes with it.

use std::sync::Arc;

use tokio::sync::watch;

use crate::access::{Attempts, Passwords, Queue};
use crate::catalog::Intake;
use crate::clock::Clock;
use crate::configuration::{Own, Settings};
use crate::database::Database;
use crate::enrolment::Link;
use crate::error::Result;
use crate::event::Events;
use crate::node::{News, Nudges, Pace, Seen};
use crate::peer::{Peering, Relays, Streams};
use crate::resolver::Resolver;
use crate::setup::Setup;
use crate::store::Store;

/// The database and what stands between it and requests.
#[derive(Debug)]
pub struct Ground {
    /// The tables.
    pub database: Database,
    /// What time it is.
    pub clock: Clock,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Who waits for that.
    pub logins: Arc<Queue>,
    /// Wrong guesses.
    pub attempts: Attempts,
    /// Whether there is an administrator.
    pub setup: Setup,
    /// Makes addresses of names.
    pub resolver: Resolver,
    /// On a server: when its nodes were last heard of.
    pub seen: Seen,
    /// On a server: wakes the requests in which its nodes wait for news.
    pub nudges: Nudges,
    /// On a server: how fast its nodes may ask.
    pub pace: Pace,
    /// What changes while somebody looks.
    pub events: Events,
    /// On a node: how it gets on with its server.
    pub link: Link,
    /// On a node: what it shows other nodes, and whom it believes.
    pub peering: Arc<Peering>,
    /// On a node: streams that sources bring.
    pub streams: Streams,
    /// On a node: what passes through it between others.
    pub relays: Arc<Relays>,
    /// On a node: what its catalogs keep, and what comes.
    pub intake: Option<Intake>,
    /// The connector's own settings.
    pub settings: watch::Sender<Settings>,
}

impl Ground {
    /// Opens what is in a state directory.
    ///
    /// # Errors
    /// The database can't be used.
    pub async fn open(store: &Store) -> Result<Self> {
        Self::on(Database::open(store.root()).await?).await
    }

    /// Takes a database.
    ///
    /// # Errors
    /// It can't be used.
    pub async fn on(database: Database) -> Result<Self> {
        let own = Own::read(&mut database.begin().await?).await?;
        Ok(Self {
            setup: Setup::of(&database).await?,
            settings: watch::Sender::new(own.settings),
            database,
            clock: Clock::default(),
            passwords: Passwords::default(),
            logins: Arc::default(),
            attempts: Attempts::default(),
            resolver: Resolver::default(),
            seen: Seen::default(),
            nudges: Nudges::default(),
            pace: Pace::default(),
            events: Events::default(),
            link: Link::default(),
            peering: Arc::default(),
            streams: Streams::default(),
            relays: Arc::default(),
            intake: None,
        })
    }

    /// What is known beside the tables.
    pub fn news(&self) -> News<'_> {
        News {
            seen: &self.seen,
            now: self.clock.now(),
        }
    }
}
