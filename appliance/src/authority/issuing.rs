//! The authority of a service that runs: its keys as they are now, and the connections that nodes make with them.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use rustls::ServerConfig;
use uuid::Uuid;

use super::Keys;
use crate::clock::Moment;
use crate::error::Result;
use crate::http::tls;

/// How far the clock may go before what is shown is made anew.
const LONG: Duration = Duration::from_hours(24);

/// Keys, and what goes with them: both change while the service runs.
#[derive(Debug)]
pub struct Issuing {
    server: Uuid,
    now: RwLock<Now>,
}

#[derive(Debug)]
struct Now {
    keys: Arc<Keys>,
    connections: Arc<ServerConfig>,
    made: Moment,
}

impl Now {
    fn new(keys: Keys, server: Uuid, now: Moment) -> Result<Self> {
        Ok(Self {
            connections: tls::for_nodes(&keys, server, now)?,
            keys: Arc::new(keys),
            made: now,
        })
    }
}

impl Issuing {
    /// With keys, for the server of an id.
    ///
    /// # Errors
    /// [`Kind::Tls`](crate::error::Kind::Tls).
    pub fn new(keys: Keys, server: Uuid, now: Moment) -> Result<Self> {
        Ok(Self {
            server,
            now: RwLock::new(Now::new(keys, server, now)?),
        })
    }

    /// Goes on with other keys. Connections that are open stay.
    ///
    /// # Errors
    /// [`Kind::Tls`](crate::error::Kind::Tls); then nothing changes.
    pub fn take(&self, keys: Keys, now: Moment) -> Result<()> {
        let next = Now::new(keys, self.server, now)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// The keys.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.now().keys)
    }

    /// How connections of nodes are taken.
    pub fn connections(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.now().connections)
    }

    /// Whether what is shown to nodes was made when the clock was another, or long ago.
    pub fn is_of_another_time(&self, now: Moment) -> bool {
        let made = self.now().made;
        now.since(made).max(made.since(now)) > LONG
    }

    fn now(&self) -> RwLockReadGuard<'_, Now> {
        self.now.read().unwrap_or_else(PoisonError::into_inner)
    }
}
