//! The authority of a service that runs: its keys as they are now, and the connections that nodes make with them.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use uuid::Uuid;

use super::Keys;
use crate::clock::Moment;
use crate::error::Result;
use crate::http::tls;

/// Keys, and what goes with them: both change while the service runs.
#[derive(Debug)]
pub struct Issuing {
    server: Uuid,
    now: RwLock<(Arc<Keys>, Arc<ServerConfig>)>,
}

impl Issuing {
    /// With keys, for the server of an id.
    ///
    /// # Errors
    /// [`Kind::Tls`](crate::error::Kind::Tls).
    pub fn new(keys: Keys, server: Uuid, now: Moment) -> Result<Self> {
        let config = tls::for_nodes(&keys, server, now)?;
        Ok(Self {
            server,
            now: RwLock::new((Arc::new(keys), config)),
        })
    }

    /// Goes on with other keys. Connections that are open stay.
    ///
    /// # Errors
    /// [`Kind::Tls`](crate::error::Kind::Tls); then nothing changes.
    pub fn take(&self, keys: Keys, now: Moment) -> Result<()> {
        let config = tls::for_nodes(&keys, self.server, now)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(keys), config);
        Ok(())
    }

    /// The keys.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// How connections of nodes are taken.
    pub fn connections(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).1)
    }
}
