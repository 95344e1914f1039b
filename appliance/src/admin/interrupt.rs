//! What somebody may stop by Ctrl-C.

use tokio::signal::unix::{SignalKind, signal};

use super::failure::{Failure, Result};
use crate::error::{Error, Kind};

/// Works until it is done, or until somebody stops it: `stopped` then says what becomes of it.
pub(crate) async fn or_interrupted<T>(
    work: impl Future<Output = Result<T>>,
    stopped: impl FnOnce() -> Failure,
) -> Result<T> {
    let failed = |error| Error::new(Kind::Io, "SIGINT", "can't be waited for").because(error);
    let mut interrupted = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        done = work => done,
        _ = interrupted.recv() => Err(stopped()),
    }
}
