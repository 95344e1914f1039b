//! Progress on standard error: a bar for people where that is a terminal, JSON lines for programs elsewhere.
//!
//! A line, at most one a second with `--json` and one in ten seconds without:
//!
//! ```json
//! {"progress":"packing disk1.vmdk","done":1048576,"total":4194304,"bytes_per_second":1048576,"seconds_left":3}
//! ```
//!
//! What takes less time says nothing; `total` and `seconds_left` are left out where nobody knows.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ovf::package::Source;
use serde_json::{Value, json};

/// A bar that is gone once the work is, or lines.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<Shown>);

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines(Mutex<Lines>),
}

const TICK: Duration = Duration::from_millis(100);
/// Between two lines for who asked for JSON, and for who did not: the log of a build is read by people.
const ASKED: Duration = Duration::from_secs(1);
const UNASKED: Duration = Duration::from_secs(10);

impl Progress {
    /// For work of bytes whose number may be known from the first on; `json` is whether results are wanted as JSON.
    pub(crate) fn new(message: &str, json: bool) -> Self {
        if !std::io::stderr().is_terminal() {
            let every = if json { ASKED } else { UNASKED };
            return Self(Arc::new(Shown::Lines(Mutex::new(Lines::new(message, every)))));
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {msg} {elapsed}"));
        bar.set_message(message.to_owned());
        bar.enable_steady_tick(TICK);
        Self(Arc::new(Shown::Bar(bar)))
    }

    /// So many bytes are done, of so many; of zero, where nobody knows.
    pub(crate) fn set(&self, done: u64, total: u64) {
        match &*self.0 {
            Shown::Bar(bar) => {
                if bar.position() == 0 && bar.length().is_none() {
                    bar.set_style(match total {
                        0 => style("{spinner} {msg} {bytes} {bytes_per_sec} {elapsed}"),
                        _ => style("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
                    });
                }
                if total > 0 {
                    bar.set_length(total);
                }
                bar.set_position(done);
            }
            Shown::Lines(lines) => {
                let line =
                    lines
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .at(Instant::now(), done, total);
                if let Some(line) = line {
                    // Whoever reads lines may go away before the work is done.
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
            }
        }
    }

    /// Follows the reading of a package, whose length in bytes may be known.
    pub(crate) fn watch(&self, source: &mut Source, length: Option<u64>) {
        let (progress, mut done) = (self.clone(), 0);
        source.observe(move |read| {
            done += read;
            progress.set(done, length.unwrap_or(0));
        });
    }

    /// Another piece of work begins: its bytes are counted from zero.
    pub(crate) fn say(&self, message: &str) {
        match &*self.0 {
            Shown::Bar(bar) if bar.message() != message => {
                bar.set_message(message.to_owned());
                bar.reset_eta();
            }
            Shown::Bar(_) => {}
            Shown::Lines(lines) => lines
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .say(message, Instant::now()),
        }
    }

    pub(crate) fn finish(self) {
        if let Shown::Bar(bar) = &*self.0 {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[derive(Debug)]
struct Lines {
    message: String,
    every: Duration,
    start: Instant,
    told: Instant,
}

impl Lines {
    fn new(message: &str, every: Duration) -> Self {
        let now = Instant::now();
        Self {
            message: message.to_owned(),
            every,
            start: now,
            told: now,
        }
    }

    fn say(&mut self, message: &str, now: Instant) {
        if self.message != message {
            message.clone_into(&mut self.message);
            self.start = now;
        }
    }

    /// The line that is due, if one is.
    fn at(&mut self, now: Instant, done: u64, total: u64) -> Option<Value> {
        if now.duration_since(self.told) < self.every {
            return None;
        }
        self.told = now;
        let milliseconds = now.duration_since(self.start).as_millis().max(1);
        let rate = u128::from(done) * 1000 / milliseconds;
        let mut line = json!({ "progress": self.message, "done": done });
        if total > 0 {
            line["total"] = total.into();
        }
        line["bytes_per_second"] = u64::try_from(rate).unwrap_or(u64::MAX).into();
        if let (Some(left), 1..) = (total.checked_sub(done).filter(|_| total > 0), rate) {
            line["seconds_left"] = u64::try_from(u128::from(left).div_ceil(rate))
                .unwrap_or(u64::MAX)
                .into();
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_rate_and_time_left_and_come_now_and_then() {
        let mut lines = Lines::new("packing", ASKED);
        let start = lines.start;
        let mut at =
            |milliseconds, done, total| lines.at(start + Duration::from_millis(milliseconds), done, total);
        assert_eq!(at(999, 1, 100), None);
        assert_eq!(
            at(2000, 40, 100).unwrap().to_string(),
            r#"{"progress":"packing","done":40,"total":100,"bytes_per_second":20,"seconds_left":3}"#
        );
        assert_eq!(at(2500, 50, 100), None);
        assert_eq!(
            at(4000, 80, 0).unwrap().to_string(),
            r#"{"progress":"packing","done":80,"bytes_per_second":20}"#
        );
        assert_eq!(at(9000, 0, 100).unwrap().get("seconds_left"), None);
        // A second disk's rate is its own.
        lines.say("packing another", start + Duration::from_secs(10));
        let line = lines.at(start + Duration::from_secs(12), 40, 100).unwrap();
        assert_eq!(line["bytes_per_second"], 20);
    }
}
