//! A node's credentials as they are now: they change with its enrolment while the service runs.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::{Basis, Credentials};
use crate::error::{Error, Kind, Result};

/// The credentials of a node that runs; a server has none.
#[derive(Debug, Default)]
pub struct Peering {
    now: RwLock<Now>,
    port: AtomicU16,
}

#[derive(Debug, Default)]
struct Now {
    /// Of which there are no credentials.
    without: Option<Basis>,
    credentials: Option<Arc<Credentials>>,
}

impl Peering {
    /// Goes on with an enrolment, or without one. Connections that are open stay: whoever is at their other end is asked for at each
    /// request.
    ///
    /// # Errors
    /// [`Kind::Tls`]; then there are no credentials.
    pub fn take(&self, basis: Option<Basis>) -> Result<()> {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let known = now.credentials.as_ref().map(|known| known.basis());
        if known.or(now.without.as_ref()) == basis.as_ref() {
            return Ok(());
        }
        *now = Now::default();
        let Some(basis) = basis else { return Ok(()) };
        match Credentials::new(basis.clone())? {
            Some(credentials) => now.credentials = Some(Arc::new(credentials)),
            None => now.without = Some(basis),
        }
        Ok(())
    }

    /// The credentials, of a node that other nodes can know.
    pub fn credentials(&self) -> Option<Arc<Credentials>> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        now.credentials.clone()
    }

    /// Likewise.
    ///
    /// # Errors
    /// [`Kind::Unreachable`] where there are none.
    pub fn expect(&self) -> Result<Arc<Credentials>> {
        self.credentials().ok_or_else(|| {
            let reason = "has no certificate by which other nodes know it: it is not one of a server's, or has not spoken with it yet";
            Error::new(Kind::Unreachable, "this node", reason)
        })
    }

    /// Notes the port on which the node takes connections.
    pub fn listens_on(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    /// The port on which the node takes connections, if it does.
    pub fn port(&self) -> Option<u16> {
        Some(self.port.load(Ordering::Relaxed)).filter(|port| *port > 0)
    }
}
