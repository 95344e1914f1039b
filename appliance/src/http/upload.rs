//! Files that clients send: bodies without a ceiling of bytes or time, for those who are let send them.
//!
//! Which requests these are is decided by [`Server::uploads`](super::Server::uploads). The handler of one takes [`Admitted`] and
//! the body, looks who asks, and calls [`Admitted::begin`]. Before that nothing is read, a client that sent
//! `Expect: 100-continue` is not told to go on, and the connection counts as idle: whoever fails to say who he is occupies
//! nothing. After it the file takes as long as it takes, as long as [`PACE_BYTES`] of it come in each
//! [`Limits::pace`](super::Limits::pace). The time in which the handler does something else doesn't count.
//!
//! ```no_run
//! use appliance::http::problem::Problem;
//! use appliance::http::upload::{Admitted, Pieces};
//! use axum::body::Body;
//!
//! async fn receive(admitted: Admitted, body: Body) -> Result<(), Problem> {
//!     // Who asks, and may they?
//!     admitted.begin()?;
//!     let mut pieces = Pieces::of(body);
//!     while let Some(piece) = pieces.next().await? {
//!         // Into a file.
//!     }
//!     Ok(())
//! }
//! ```

mod paced;
mod pieces;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use hyper::header::RETRY_AFTER;

use super::connections::Busy;
use super::problem::Problem;
use crate::log;

pub(super) use paced::Paced;
pub use pieces::{PIECE, Pieces};

/// Bytes of a file that have to come in each [`Limits::pace`](super::Limits::pace): 1 KiB/s.
pub const PACE_BYTES: u64 = 30 << 10;
/// Seconds after which a place for a file may be free.
const AGAIN: u64 = 30;

/// Whether a request may send the file that it wants to.
#[derive(Debug, Clone)]
pub struct Admitted(Arc<State>);

#[derive(Debug)]
struct State {
    busy: Arc<Busy>,
    has_begun: AtomicBool,
    is_too_slow: AtomicBool,
}

impl Admitted {
    pub(super) fn of(busy: Arc<Busy>) -> Self {
        Self(Arc::new(State {
            busy,
            has_begun: AtomicBool::new(false),
            is_too_slow: AtomicBool::new(false),
        }))
    }

    /// Lets the client send: from here on its connection is busy, and its body can be read.
    ///
    /// # Errors
    /// [`Problem::TOO_MANY_TRANSFERS`].
    pub fn begin(&self) -> Result<(), Problem> {
        match self.0.busy.begin_transfer() {
            true => {
                self.0.has_begun.store(true, Ordering::Relaxed);
                Ok(())
            }
            false => Err(too_many()),
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Relaxed)
    }

    pub(super) fn is_too_slow(&self) -> bool {
        self.0.is_too_slow.load(Ordering::Relaxed)
    }
}

/// The answer to whoever would send or take one file too many.
pub(crate) fn too_many() -> Problem {
    Problem::TOO_MANY_TRANSFERS.with(RETRY_AFTER, AGAIN)
}

impl<S: Sync> FromRequestParts<S> for Admitted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(|| {
            log::error(format_args!(
                "{} is not known as one that takes files",
                parts.uri.path()
            ));
            Problem::INTERNAL
        })
    }
}
