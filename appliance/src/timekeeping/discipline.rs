//! What to do about an offset, and doing it.

use std::io;

use time::Duration;

use super::Offset;
use crate::sys::{Adjustment, adjust_clock};

/// The kernel slews no more than this, and would take 17 minutes for it.
const STEP_ABOVE: Duration = Duration::milliseconds(500);

/// What to do with the machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Set it, by so much.
    Step(Offset),
    /// Let it run faster or slower until it has made up for so much.
    Slew(Offset),
    /// Leave it alone: it is not ours.
    Leave,
}

/// Whether it counts as right, if it were left alone.
pub(super) fn is_near(offset: Offset) -> bool {
    offset.abs() <= STEP_ABOVE
}

/// Decides about an offset. A clock that is not this machine's own is never touched.
pub(super) fn decide(offset: Offset, own_clock: bool) -> Decision {
    match (own_clock, is_near(offset)) {
        (false, _) => Decision::Leave,
        (true, true) => Decision::Slew(offset),
        (true, false) => Decision::Step(offset),
    }
}

/// Does it. `distance` is how wrong the clock can be afterwards; `interval` is how long until it is measured again, to which
/// the kernel's loop is set.
pub(super) fn carry_out(
    decision: Decision,
    distance: Duration,
    interval: std::time::Duration,
) -> io::Result<()> {
    let error = i64::try_from(distance.whole_microseconds()).unwrap_or(i64::MAX);
    match decision {
        Decision::Leave => Ok(()),
        Decision::Step(offset) => adjust_clock(Adjustment::Step { offset, error }),
        Decision::Slew(offset) => adjust_clock(Adjustment::Slew {
            nanoseconds: i64::try_from(offset.whole_nanoseconds()).unwrap_or_default(),
            error,
            constant: i64::from(interval.as_secs().max(16).ilog2()) - 4,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_stepped_above_half_a_second_and_slewed_below() {
        for (offset, expected) in [
            (
                Duration::milliseconds(500),
                Decision::Slew as fn(Offset) -> Decision,
            ),
            (Duration::milliseconds(-500), Decision::Slew),
            (Duration::milliseconds(501), Decision::Step),
            (Duration::days(-20_000), Decision::Step),
        ] {
            assert_eq!(decide(offset, true), expected(offset));
        }
    }

    #[test]
    fn a_clock_of_others_is_left_alone() {
        assert_eq!(decide(Duration::days(400), false), Decision::Leave);
        assert_eq!(decide(Duration::milliseconds(1), false), Decision::Leave);
    }
}
