//! Guesses at passwords: after a few wrong ones from one place, the next from there has to wait, longer each time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::place::Place;
use crate::clock::Moment;

/// Wrong guesses that cost nothing.
const FREE: u32 = 10;
/// The wait after the first one that isn't free; each after it doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// So long after the last wrong guess, all are forgotten.
const QUIET: Duration = Duration::from_secs(3600);
/// Names and places that are remembered; the ones with the fewest guesses make room.
const REMEMBERED: usize = 4096;

/// Who guesses at what. A stranger's guesses don't keep the user away: it comes from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Guess {
    name: String,
    from: Place,
}

impl Guess {
    fn new(name: &str, from: Option<IpAddr>) -> Self {
        Self {
            name: name.to_owned(),
            from: Place::of(from),
        }
    }
}

/// Guesses, each counted as wrong until it was right.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<Guess, Wrong>>);

#[derive(Debug, Clone, Copy)]
struct Wrong {
    count: u32,
    last: Moment,
    until: Moment,
}

impl Attempts {
    /// Counts a guess at a name's password before it is looked at, so that many at once are no way round.
    ///
    /// # Errors
    /// How long to wait before the next.
    pub fn begin(&self, name: &str, from: Option<IpAddr>, now: Moment) -> Result<(), Duration> {
        let (mut all, guess) = (self.all(), Guess::new(name, from));
        // A clock that was set back is no reason to wait for it.
        all.retain(|_, wrong| wrong.last <= now && now.since(wrong.last) < QUIET);
        if all.len() >= REMEMBERED && !all.contains_key(&guess) {
            // Names that are made up to wash out a guess that has to wait are the first to go.
            let oldest = all.iter().min_by_key(|(_, wrong)| (wrong.count, wrong.until));
            if let Some(oldest) = oldest.map(|(guess, _)| guess.clone()) {
                all.remove(&oldest);
            }
        }
        let none = Wrong {
            count: 0,
            last: now,
            until: now,
        };
        let wrong = all.entry(guess).or_insert(none);
        let left = wrong.until.since(now);
        if !left.is_zero() {
            return Err(left);
        }
        wrong.count = wrong.count.saturating_add(1);
        let doublings = wrong.count.saturating_sub(FREE);
        let wait = match doublings {
            0 => Duration::ZERO,
            _ => FIRST_WAIT
                .saturating_mul(1 << (doublings - 1).min(16))
                .min(LONGEST_WAIT),
        };
        (wrong.last, wrong.until) = (now, now.after(wait));
        Ok(())
    }

    /// Forgets wrong guesses after a right one.
    pub fn right(&self, name: &str, from: Option<IpAddr>) {
        self.all().remove(&Guess::new(name, from));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Guess, Wrong>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_with_wrong_guesses_from_one_place_and_end_with_a_right_one() {
        let (attempts, mut now) = (Attempts::default(), Moment(0));
        let (here, there) = ("192.0.2.1".parse().ok(), "192.0.2.2".parse().ok());
        for _ in 0..=FREE {
            assert_eq!(attempts.begin("a", here, now), Ok(()));
        }
        assert_eq!(attempts.begin("a", here, now), Err(FIRST_WAIT));
        assert_eq!(attempts.begin("a", there, now), Ok(()), "another place");
        assert_eq!(attempts.begin("b", here, now), Ok(()), "another name");
        for _ in 0..40 {
            let wait = attempts.begin("a", here, now).err().unwrap_or_default();
            assert!(wait <= LONGEST_WAIT);
            now = now.after(wait);
        }
        assert_eq!(attempts.begin("a", here, now.after(QUIET)), Ok(()));
        attempts.right("a", here);
        for _ in 0..=FREE {
            assert_eq!(attempts.begin("a", here, now), Ok(()));
        }
        assert!(
            attempts.begin("a", here, Moment(-1)).is_ok(),
            "the clock went back"
        );
    }

    #[test]
    fn names_that_are_made_up_wash_out_no_wait() {
        let attempts = Attempts::default();
        let mut now = Moment(0);
        for _ in 0..=FREE {
            attempts.begin("a", None, now).unwrap();
        }
        now = now.after(FIRST_WAIT);
        for number in 0..2 * REMEMBERED {
            attempts.begin(&number.to_string(), None, now).unwrap();
        }
        assert_eq!(attempts.begin("a", None, now), Ok(()));
        assert_eq!(attempts.begin("a", None, now), Err(FIRST_WAIT * 2));
    }

    #[test]
    fn names_without_end_take_bounded_room() {
        let attempts = Attempts::default();
        for number in 0..REMEMBERED + 10 {
            attempts.begin(&number.to_string(), None, Moment(0)).unwrap();
        }
        assert_eq!(attempts.all().len(), REMEMBERED);
    }
}
