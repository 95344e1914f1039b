//! Trying again what may pass: after growing pauses, and in the end no more.

use std::time::Duration;

use tokio::time::sleep;

use super::failure::{Failure, Result};
use super::output::Output;

/// Tries after which nothing has come on.
const TRIES: u32 = 10;
/// The longest pause in seconds, also of those that a connector asks for.
const LONGEST: u64 = 30;

/// How often it was tried since something came on.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    tries: u32,
    done: u64,
}

impl Retry {
    /// Waits before the next try; gives the failure back where there is to be none. `done` grows as it comes on.
    pub(crate) async fn after(&mut self, failure: Failure, done: u64, output: Output) -> Result<()> {
        if done > self.done {
            (self.tries, self.done) = (0, done);
        }
        if self.tries >= TRIES {
            return Err(failure);
        }
        let pause = failure.wait().unwrap_or(0).clamp(pause(self.tries), LONGEST);
        self.tries += 1;
        output.remark(&format!("{failure}; try {} of {TRIES} in {pause} s", self.tries));
        sleep(Duration::from_secs(pause)).await;
        Ok(())
    }
}

/// Seconds.
fn pause(tries: u32) -> u64 {
    1_u64.checked_shl(tries).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};

    #[test]
    fn pauses_grow_to_an_end() {
        let pauses: Vec<_> = (0..7).map(pause).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pause(99), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_on_is_tried_for_as_long_as_it_does_and_what_does_not_is_given_up() {
        let failure = || Failure::from(Error::new(Kind::Unreachable, "there", "the connection broke"));
        let output = Output { json: true };
        let mut retry = Retry::default();
        for done in 1..50 {
            assert!(retry.after(failure(), done, output).await.is_ok());
        }
        let mut tries = 0;
        while retry.after(failure(), 49, output).await.is_ok() {
            tries += 1;
        }
        assert_eq!(tries, TRIES - 1);
    }
}
