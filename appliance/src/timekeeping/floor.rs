//! The time that it is at least: when the state disk was last written for this. A hardware clock without a battery does not
//! get below it.

use std::path::Path;

use time::OffsetDateTime;

use super::Offset;
use super::discipline::{Decision, carry_out};
use super::status::is_plausible;
use crate::{file, log};

/// Seconds since 1970, in decimal.
const NAME: &str = "clock";

/// Brings the clock up to the floor, where it is below.
pub fn raise(state: &Path) {
    let Some(by) = lacking(state, OffsetDateTime::now_utc()) else {
        return;
    };
    match carry_out(Decision::Step(by), super::UNKNOWN, super::Pace::default().least) {
        Ok(()) => super::tell_step(by, "floor"),
        Err(error) => log::warn(format_args!("the clock cannot be set: {error}")),
    }
}

/// Keeps the time as the floor of the next start. One that cannot be is not kept.
pub fn keep(state: &Path) {
    keep_at(state, OffsetDateTime::now_utc());
}

fn keep_at(state: &Path, now: OffsetDateTime) {
    if !is_plausible(now) {
        return;
    }
    let text = format!("{}\n", now.unix_timestamp());
    if let Err(error) = file::replace_durably(state, NAME, text.as_bytes()) {
        log::warn(error.chain());
    }
}

/// What `now` lacks of the floor. A file that is damaged is no floor.
fn lacking(state: &Path, now: OffsetDateTime) -> Option<Offset> {
    let text = file::text(state.join(NAME)).ok()?;
    let floor = OffsetDateTime::from_unix_timestamp(text.parse().ok()?).ok()?;
    (floor > now && is_plausible(floor)).then(|| floor - now)
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    fn at(unix: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(unix).unwrap()
    }

    #[test]
    fn a_clock_below_the_floor_lacks_the_difference() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(lacking(state.path(), at(0)), None);
        keep_at(state.path(), at(1_790_000_000));
        assert_eq!(
            lacking(state.path(), at(0)),
            Some(Duration::seconds(1_790_000_000))
        );
        assert_eq!(lacking(state.path(), at(1_790_000_001)), None);
    }

    #[test]
    fn neither_an_impossible_time_nor_a_damaged_file_is_a_floor() {
        let state = tempfile::tempdir().unwrap();
        keep_at(state.path(), at(1000));
        assert_eq!(lacking(state.path(), at(0)), None);
        for text in ["", "1000", "-1", "99999999999999999999", "1790000000 x"] {
            std::fs::write(state.path().join(NAME), text).unwrap();
            assert_eq!(lacking(state.path(), at(0)), None, "{text}");
        }
    }
}
