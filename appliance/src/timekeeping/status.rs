//! How the clock stands, for `/readyz`, the consoles and `/metrics`.

use serde::Serialize;
use time::OffsetDateTime;

use super::Offset;
use crate::check::{CLOCK, Check};
use crate::clock::Moment;
use crate::endpoint::Endpoint;

/// Polls that nobody answers before that is told.
pub(super) const MOST_MISSED: u32 = 3;
const REMEDY: &str =
    "Check the property ntp, and that the servers can be reached (port 123, UDP; names need name servers).";

/// Whether the clock can be gone by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It was compared with a source, and is within half a second of it.
    Synchronized,
    /// Nobody says whether it is right.
    Unsynchronized,
    /// It cannot be right: it is before 2026.
    Implausible,
}

/// What is known of the clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Status {
    /// The time servers that are asked.
    pub(super) servers: Vec<Endpoint>,
    /// Polls since one of them answered.
    pub(super) missed: u32,
    /// Why their answers are of no use.
    pub(super) problem: Option<String>,
    /// The last measurement that counted.
    pub(super) last: Option<Measurement>,
    /// It holds still.
    pub(super) holds: bool,
}

/// A comparison of the clock with a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// What the clock lacks; nothing once it was stepped.
    pub offset: Offset,
    /// The server, or the hypervisor's clock.
    pub source: String,
    /// When, by the clock as it was set then.
    pub at: OffsetDateTime,
}

/// Whether a time can be.
pub(super) fn is_plausible(time: OffsetDateTime) -> bool {
    Moment::from(time).is_plausible()
}

impl Status {
    /// How it stands while it shows `now`.
    pub fn state(&self, now: OffsetDateTime) -> State {
        match (is_plausible(now), self.holds) {
            (false, _) => State::Implausible,
            (true, true) => State::Synchronized,
            (true, false) => State::Unsynchronized,
        }
    }

    /// The last measurement that counted.
    pub fn last(&self) -> Option<&Measurement> {
        self.last.as_ref()
    }

    /// The check `clock` while it shows `now`. What warns and fails is worded without what changes all the time.
    pub fn check(&self, now: OffsetDateTime) -> Check {
        let state = self.state(now);
        if state == State::Implausible {
            let reason = format!("the clock says {}, which has been", now.date());
            let remedy = "Set the host's clock and restart, or name time servers with the property ntp.";
            return Check::fail(CLOCK, reason, remedy);
        }
        if let Some(problem) = &self.problem {
            return Check::warn(CLOCK, problem.clone(), REMEDY);
        }
        if !self.servers.is_empty() && self.missed >= MOST_MISSED {
            let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
            let reason = format!("no time server answers: {}", servers.join(", "));
            return Check::warn(CLOCK, reason, REMEDY);
        }
        match (&self.last, state) {
            (Some(last), State::Synchronized) => Check::pass(CLOCK, last.to_string()),
            (Some(last), _) if !super::discipline::is_near(last.offset) => Check::warn(
                CLOCK,
                format!("the clock is wrong, by {}", last.source),
                "Set the host's clock.",
            ),
            _ if self.servers.is_empty() => Check::pass(
                CLOCK,
                "no time server is named; the machine's clock is taken as it is",
            ),
            _ => Check::pass(CLOCK, "no time server has answered yet"),
        }
    }
}

impl std::fmt::Display for Measurement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = crate::clock::Moment::from(self.at);
        let offset = self.offset.as_seconds_f64();
        write!(f, "by {}, offset {offset:+.6} s at {at}", self.source)
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::check::Outcome;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap()
    }

    fn asking() -> Status {
        Status {
            servers: vec!["ntp.example.com:123".parse().unwrap()],
            ..Status::default()
        }
    }

    fn measured(offset: Duration, holds: bool) -> Status {
        Status {
            last: Some(Measurement {
                offset,
                source: "ntp.example.com:123".to_owned(),
                at: now(),
            }),
            holds,
            ..asking()
        }
    }

    #[test]
    fn a_clock_before_2026_fails_whatever_else_is_known() {
        for status in [Status::default(), measured(Duration::ZERO, true)] {
            let check = status.check(OffsetDateTime::UNIX_EPOCH);
            assert_eq!(check.status, Outcome::Fail);
            assert!(check.reason.contains("1970-01-01") && !check.remedy.is_empty());
            assert_eq!(status.state(OffsetDateTime::UNIX_EPOCH), State::Implausible);
        }
    }

    #[test]
    fn silence_is_told_after_three_polls_and_only_of_servers_that_were_named() {
        let mut status = asking();
        status.missed = 2;
        assert_eq!(status.check(now()).status, Outcome::Pass);
        status.missed = 3;
        assert_eq!(status.check(now()).status, Outcome::Warn);
        assert!(status.check(now()).reason.contains("ntp.example.com:123"));
        status.servers.clear();
        assert_eq!(status.check(now()).status, Outcome::Pass);
    }

    #[test]
    fn a_synchronized_clock_says_by_whom_and_how_far() {
        let status = measured(Duration::microseconds(-12), true);
        assert_eq!(status.state(now()), State::Synchronized);
        let check = status.check(now());
        assert_eq!(check.status, Outcome::Pass);
        assert_eq!(
            check.reason,
            "by ntp.example.com:123, offset -0.000012 s at 2026-09-21T14:13:20Z"
        );
    }

    #[test]
    fn a_clock_of_others_that_is_wrong_is_told() {
        let status = measured(Duration::seconds(10), false);
        assert_eq!(status.state(now()), State::Unsynchronized);
        assert_eq!(status.check(now()).status, Outcome::Warn);
    }
}
