//! Guesses that went wrong: after a few, the next has to wait, longer each time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Moment;

/// Wrong guesses that cost nothing.
const FREE: u32 = 5;
/// The wait after the first one that isn't free; each after it doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// Names that are remembered; the ones whose wait ended longest ago make room.
const NAMES: usize = 4096;

/// Wrong guesses by what was guessed at: a user's name, the set-up code.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<String, Wrong>>);

#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: u32,
    until: Moment,
}

impl Attempts {
    /// How long to wait before the next guess; nothing if it may come now.
    pub fn wait(&self, name: &str, now: Moment) -> Option<Duration> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all.get(name)?.until.since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Notes a wrong guess.
    pub fn wrong(&self, name: &str, now: Moment) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= NAMES && !all.contains_key(name) {
            let oldest = all.iter().min_by_key(|(_, wrong)| wrong.until);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                all.remove(&oldest);
            }
        }
        let wrong = all
            .entry(name.to_owned())
            .or_insert(Wrong { count: 0, until: now });
        wrong.count = wrong.count.saturating_add(1);
        let doublings = wrong.count.saturating_sub(FREE);
        let wait = match doublings {
            0 => Duration::ZERO,
            _ => FIRST_WAIT
                .saturating_mul(1 << (doublings - 1).min(16))
                .min(LONGEST_WAIT),
        };
        wrong.until = now.after(wait);
    }

    /// Forgets wrong guesses after a right one.
    pub fn right(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_wrong_guesses_and_end_with_a_right_one() {
        let (attempts, now) = (Attempts::default(), Moment(0));
        for _ in 0..FREE {
            attempts.wrong("a", now);
        }
        assert_eq!(attempts.wait("a", now), None);
        attempts.wrong("a", now);
        assert_eq!(attempts.wait("a", now), Some(FIRST_WAIT));
        assert_eq!(attempts.wait("a", now.after(FIRST_WAIT)), None);
        for _ in 0..40 {
            attempts.wrong("a", now);
        }
        assert_eq!(attempts.wait("a", now), Some(LONGEST_WAIT));
        assert_eq!(attempts.wait("b", now), None);
        attempts.right("a");
        assert_eq!(attempts.wait("a", now), None);
    }

    #[test]
    fn names_without_end_take_bounded_room() {
        let attempts = Attempts::default();
        for number in 0..NAMES + 10 {
            attempts.wrong(&number.to_string(), Moment(0));
        }
        assert_eq!(attempts.0.lock().unwrap().len(), NAMES);
    }
}
