//! How fast bytes may come, and when.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Moment;
use crate::transfer::Window;

/// How long may be caught up with at once: after a pause nobody bursts.
const BURST: Duration = Duration::from_millis(250);

/// Tells what time it is.
type Now = Box<dyn Fn() -> Moment + Send + Sync>;

/// What a transfer's connections share of time.
pub(super) struct Pace {
    rate: Option<u64>,
    window: Option<Window>,
    now: Now,
    /// When all that was taken so far is paid for.
    paid: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(rate: Option<u64>, window: Option<Window>, now: Now) -> Self {
        Self {
            rate: rate.filter(|rate| *rate > 0),
            window,
            now,
            paid: Mutex::new(Instant::now()),
        }
    }

    /// Waits until bytes that came may have come.
    pub(super) async fn take(&self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let cost = Duration::from_nanos(
            u64::try_from(bytes as u128 * 1_000_000_000 / u128::from(rate)).unwrap_or(u64::MAX),
        );
        let wait = {
            let now = Instant::now();
            let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
            let earliest = now.checked_sub(BURST).unwrap_or(now);
            *paid = (*paid).max(earliest) + cost;
            paid.saturating_duration_since(now)
        };
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }

    /// Waits until the hours have come in which bytes may.
    pub(super) async fn open(&self) {
        while let Some(wait) = self.closed_for() {
            // The clock may be put right meanwhile.
            sleep(wait.min(Duration::from_secs(60))).await;
        }
    }

    /// How long it is until then.
    pub(super) fn closed_for(&self) -> Option<Duration> {
        self.window?.closed_for((self.now)())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_comes_than_the_rate_lets_in_over_all_connections() {
        let pace = Pace::new(Some(1 << 20), None, Box::new(|| Moment(0)));
        let start = Instant::now();
        let take = async || {
            for _ in 0..40 {
                pace.take(64 << 10).await;
            }
        };
        tokio::join!(take(), take());
        let seconds = start.elapsed().as_secs_f64();
        assert!(
            (4.5..=5.1).contains(&seconds),
            "5 MiB at 1 MiB/s took {seconds} s of the test's clock"
        );
    }
}
