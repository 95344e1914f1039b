//! How fast nodes may ask: a node that has gone wrong, or wrong hands that have its key, cost the others nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// What a node may save up.
const MOST: u32 = 600;
/// What it gets back in a second.
const EACH_SECOND: u32 = 20;
/// Nodes above which those who have all they may have are forgotten.
const KNOWN: usize = 4096;

/// What a request costs: the more of it is written down, the more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Asking for news.
    Heartbeat = 1,
    /// Telling of a task.
    Progress = 5,
    /// Agreeing on the next number.
    Number = 40,
    /// The next certificate.
    Certificate = 300,
}

/// What each node has left.
#[derive(Debug, Default)]
pub struct Pace(Mutex<HashMap<Uuid, Purse>>);

#[derive(Debug)]
struct Purse {
    left: f64,
    at: Instant,
}

impl Purse {
    fn at(&self, now: Instant) -> f64 {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(EACH_SECOND);
        (self.left + earned).min(f64::from(MOST))
    }
}

impl Pace {
    /// Takes what a request costs.
    ///
    /// # Errors
    /// How long the node has to wait.
    pub fn take(&self, node: Uuid, cost: Cost, now: Instant) -> Result<(), Duration> {
        let mut purses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if purses.len() >= KNOWN {
            purses.retain(|_, purse| purse.at(now) < f64::from(MOST));
        }
        let full = Purse {
            left: f64::from(MOST),
            at: now,
        };
        let purse = purses.entry(node).or_insert(full);
        let (has, costs) = (purse.at(now), f64::from(cost as u32));
        if has < costs {
            return Err(Duration::from_secs_f64((costs - has) / f64::from(EACH_SECOND)));
        }
        *purse = Purse {
            left: has - costs,
            at: now,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_asks_without_end_is_slowed_down_and_no_other() {
        let (pace, now) = (Pace::default(), Instant::now());
        let (greedy, other) = (Uuid::new_v4(), Uuid::new_v4());
        let taken = (0..10_000).filter(|_| pace.take(greedy, Cost::Certificate, now).is_ok());
        assert_eq!(taken.count(), 2);
        assert_eq!(
            pace.take(greedy, Cost::Certificate, now),
            Err(Duration::from_secs(15))
        );
        assert_eq!(pace.take(other, Cost::Certificate, now), Ok(()));
        let later = now + Duration::from_secs(15);
        assert_eq!(pace.take(greedy, Cost::Certificate, later), Ok(()));
        assert!(pace.take(greedy, Cost::Heartbeat, later).is_err());
    }

    #[test]
    fn what_nodes_do_in_earnest_is_within_it() {
        let (pace, start, node) = (Pace::default(), Instant::now(), Uuid::new_v4());
        for second in 0..600 {
            let now = start + Duration::from_secs(second);
            // News after news, a task that goes on, and a link that breaks every five seconds.
            for _ in 0..5 {
                assert_eq!(pace.take(node, Cost::Heartbeat, now), Ok(()));
            }
            for _ in 0..2 {
                assert_eq!(pace.take(node, Cost::Progress, now), Ok(()), "{second}");
            }
            if second % 10 == 0 {
                assert_eq!(pace.take(node, Cost::Number, now), Ok(()), "{second}");
            }
        }
    }

    #[test]
    fn those_who_have_not_asked_for_long_are_forgotten() {
        let (pace, now) = (Pace::default(), Instant::now());
        for _ in 0..=KNOWN {
            let _ = pace.take(Uuid::new_v4(), Cost::Heartbeat, now);
        }
        let later = now + Duration::from_secs(1);
        let _ = pace.take(Uuid::new_v4(), Cost::Heartbeat, later);
        assert_eq!(pace.0.lock().unwrap().len(), 1);
    }
}
