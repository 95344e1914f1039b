//! What ends a transfer before it is done.

use crate::error::{Error, Kind};
use crate::transfer::Refusal;

/// Why it doesn't go on.
#[derive(Debug)]
pub(super) enum Fault {
    /// What comes is refused: for good.
    Refused(Refusal),
    /// It didn't work this time: what is there is kept.
    Failed(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The service ends while somebody works.
pub(super) fn ended(error: tokio::task::JoinError) -> Error {
    Error::new(Kind::Io, "the transfer", "the service ends").because(error)
}
