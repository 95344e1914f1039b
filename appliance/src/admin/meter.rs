//! How far bytes are on their way: a line with a bar on a terminal, elsewhere lines of JSON. On standard error, so that results stay
//! alone.
//!
//! ```json
//! {"progress":"sending web.ova","done":1048576,"total":4194304,"bytes_per_second":1048576,"seconds_left":3}
//! ```

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::output::printable;
use super::size::bytes;

/// Between two lines on a terminal.
const TICK: Duration = Duration::from_millis(200);
/// Between two lines for who asked for JSON, and for who did not: a log is read by people.
const ASKED: Duration = Duration::from_secs(1);
const UNASKED: Duration = Duration::from_secs(10);
/// Columns of the bar.
const WIDTH: u64 = 20;

/// A count of bytes that is told of now and then.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<Mutex<Count>>);

#[derive(Debug)]
struct Count {
    what: String,
    total: u64,
    /// What was there before.
    from: u64,
    done: u64,
    begun: Instant,
    told: Instant,
    every: Duration,
    is_terminal: bool,
    is_shown: bool,
}

impl Meter {
    /// Of so many bytes; `json` is whether results are wanted as JSON.
    pub(crate) fn new(what: &str, total: u64, json: bool) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let every = match (is_terminal, json) {
            (true, _) => TICK,
            (false, true) => ASKED,
            (false, false) => UNASKED,
        };
        let mut count = Count::new(what, total, every, Instant::now());
        count.is_terminal = is_terminal;
        Self(Arc::new(Mutex::new(count)))
    }

    /// So much is there already: the rate is of what comes from now on.
    pub(crate) fn begin_at(&self, done: u64) {
        let mut count = self.count();
        (count.from, count.done, count.begun) = (done, done, Instant::now());
    }

    /// So many bytes more.
    pub(crate) fn add(&self, bytes: usize) {
        let done = self.count().done.saturating_add(bytes as u64);
        self.set(done);
    }

    /// So many bytes in all.
    pub(crate) fn set(&self, done: u64) {
        let mut count = self.count();
        count.done = done;
        let now = Instant::now();
        if !count.is_due(now) {
            return;
        }
        let told = match count.is_terminal {
            // EL (ECMA-48) clears what is left of a longer line.
            true => write!(io::stderr(), "\r{}\u{1b}[K", count.bar(now)),
            false => writeln!(io::stderr(), "{}", count.line(now)),
        };
        // Whoever reads it may go away before the work is done.
        count.is_shown = told.is_ok();
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        if self.is_terminal && self.is_shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

impl Count {
    fn new(what: &str, total: u64, every: Duration, now: Instant) -> Self {
        Self {
            what: printable(what),
            total,
            from: 0,
            done: 0,
            begun: now,
            told: now,
            every,
            is_terminal: false,
            is_shown: false,
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now.duration_since(self.told) >= self.every;
        if is_due {
            self.told = now;
        }
        is_due
    }

    /// Bytes a second, and seconds left where that can be told.
    fn rate(&self, now: Instant) -> (u64, Option<u64>) {
        let milliseconds = now.duration_since(self.begun).as_millis().max(1);
        let rate = u128::from(self.done.saturating_sub(self.from)) * 1000 / milliseconds;
        let left = u128::from(self.total.saturating_sub(self.done));
        let short = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        (short(rate), (rate > 0).then(|| short(left.div_ceil(rate.max(1)))))
    }

    fn line(&self, now: Instant) -> Value {
        let (rate, left) = self.rate(now);
        let mut line = json!({
            "progress": self.what, "done": self.done, "total": self.total, "bytes_per_second": rate,
        });
        if let Some(left) = left {
            line["seconds_left"] = left.into();
        }
        line
    }

    fn bar(&self, now: Instant) -> String {
        let (rate, left) = self.rate(now);
        let share = |of: u64| {
            let part = u128::from(self.done.min(self.total)) * u128::from(of) / u128::from(self.total.max(1));
            usize::try_from(part).unwrap_or_default()
        };
        let (done, rest) = ("#".repeat(share(WIDTH)), "-".repeat(share(WIDTH).abs_diff(20)));
        let mut bar = format!(
            "{} [{done}{rest}] {} of {}, {}/s",
            self.what,
            bytes(self.done),
            bytes(self.total),
            bytes(rate)
        );
        if let Some(left) = left {
            let _ = write!(bar, ", {}:{:02} left", left / 60, left % 60);
        }
        bar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_rate_and_time_left_of_what_comes_and_not_of_what_was_there() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut count = Count::new("sending a\u{1b}", 100, ASKED, start);
        assert!(!count.is_due(at(999)) && count.is_due(at(2000)) && !count.is_due(at(2999)));
        (count.from, count.done) = (20, 60);
        assert_eq!(
            count.line(at(2000)),
            json!({ "progress": "sending a\u{fffd}", "done": 60, "total": 100, "bytes_per_second": 20, "seconds_left": 2 })
        );
        assert_eq!(
            count.bar(at(2000)),
            "sending a\u{fffd} [############--------] 60 B of 100 B, 20 B/s, 0:02 left"
        );
        count.done = 20;
        assert_eq!(count.line(at(2000)).get("seconds_left"), None);
        assert_eq!(
            Count::new("", 0, ASKED, start).bar(start),
            " [--------------------] 0 B of 0 B, 0 B/s"
        );
    }
}
