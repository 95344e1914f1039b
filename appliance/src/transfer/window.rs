//! The hours of the day in which bytes may move.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Moment;

const MINUTE: i64 = 60_000;
const DAY: u16 = 24 * 60;
const SHAPE: &str = "a window is HH:MM-HH:MM in UTC, such as 22:00-06:00, and its ends differ";

/// From one minute of each day in UTC to another, which may be one of the next day: `22:00-06:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    from: u16,
    to: u16,
}

impl Window {
    /// Whether it is open.
    pub fn is_open(self, now: Moment) -> bool {
        self.closed_for(now).is_none()
    }

    /// How long until it is open; nothing while it is.
    pub fn closed_for(self, now: Moment) -> Option<Duration> {
        let day = i64::from(DAY) * MINUTE;
        let at = now.0.rem_euclid(day);
        let (from, to) = (i64::from(self.from) * MINUTE, i64::from(self.to) * MINUTE);
        let is_open = match from < to {
            true => (from..to).contains(&at),
            false => at >= from || at < to,
        };
        let wait = u64::try_from((from - at).rem_euclid(day)).unwrap_or_default();
        (!is_open).then(|| Duration::from_millis(wait))
    }
}

/// `HH:MM`, two digits each.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, below: u16| {
        let is_one = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &u16| is_one && *number < below)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

impl FromStr for Window {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ends = text.split_once('-');
        let ends = ends.and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        match ends {
            Some((from, to)) if from != to => Ok(Self { from, to }),
            _ => Err(SHAPE),
        }
    }
}

impl TryFrom<String> for Window {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_window_is_open_between_its_ends_also_over_midnight() {
        let at = |hours: i64, minutes: i64| Moment((hours * 60 + minutes) * MINUTE);
        let night: Window = "22:00-06:00".parse().unwrap();
        assert!(night.is_open(at(22, 0)) && night.is_open(at(24 * 40 + 5, 59)) && night.is_open(at(0, 0)));
        assert!(!night.is_open(at(6, 0)) && !night.is_open(at(21, 59)));
        let day: Window = "08:30-17:00".parse().unwrap();
        assert!(day.is_open(at(8, 30)) && !day.is_open(at(8, 29)) && !day.is_open(at(17, 0)));
        assert_eq!(
            day.closed_for(at(17, 0)),
            Some(Duration::from_secs(15 * 3600 + 30 * 60))
        );
        assert_eq!(day.closed_for(at(8, 29)), Some(Duration::from_secs(60)));
        for wrong in [
            "22:00",
            "22:00-22:00",
            "24:00-01:00",
            "1:00-02:00",
            "22:60-23:00",
            "+2:00-03:00",
            "",
        ] {
            assert!(wrong.parse::<Window>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_window_reads_as_it_is_written(from in 0..DAY, to in 0..DAY) {
            prop_assume!(from != to);
            let window = Window { from, to };
            prop_assert_eq!(window.to_string().parse(), Ok(window));
        }
    }
}
