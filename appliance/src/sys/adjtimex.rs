//! The kernel's clock discipline, after adjtimex(2).

use std::io;

use time::Duration;

/// What the clock is to do. Errors are in microseconds: with them the kernel counts the clock as synchronised, and keeps the
/// hardware's by it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Adjustment {
    /// Jump.
    Step {
        /// How far.
        offset: Duration,
        /// How wrong it can be then.
        error: i64,
    },
    /// Run faster or slower, half a second at most, and learn from it.
    Slew {
        /// How much is to be made up for.
        nanoseconds: i64,
        /// How wrong it can be.
        error: i64,
        /// The loop's time constant: the binary logarithm of the seconds between two adjustments, less four.
        constant: i64,
    },
}

/// Adjusts the system's clock.
pub(crate) fn adjust_clock(adjustment: Adjustment) -> io::Result<()> {
    adjtimex(timex(adjustment)).map(|_| ())
}

fn timex(adjustment: Adjustment) -> libc::timex {
    let mut timex = nothing();
    timex.status = libc::STA_PLL;
    let common = libc::ADJ_STATUS | libc::ADJ_NANO | libc::ADJ_MAXERROR | libc::ADJ_ESTERROR;
    match adjustment {
        Adjustment::Step { offset, error } => {
            timex.modes = common | libc::ADJ_SETOFFSET;
            (timex.maxerror, timex.esterror) = (error, error);
            // The fraction, in nanoseconds by the mode, is never negative.
            let fraction = offset.subsec_nanoseconds();
            timex.time.tv_sec = offset.whole_seconds() - i64::from(fraction < 0);
            timex.time.tv_usec = i64::from(fraction).rem_euclid(1_000_000_000);
        }
        Adjustment::Slew {
            nanoseconds,
            error,
            constant,
        } => {
            timex.modes = common | libc::ADJ_OFFSET | libc::ADJ_TIMECONST;
            (timex.maxerror, timex.esterror) = (error, error);
            (timex.offset, timex.constant) = (nanoseconds, constant);
        }
    }
    timex
}

/// Changes nothing: no mode is set.
fn nothing() -> libc::timex {
    #[allow(unsafe_code, reason = "libc's struct has private padding and no default")]
    // SAFETY: `timex` holds integers alone, for all of which zero is a value.
    unsafe {
        std::mem::zeroed()
    }
}

fn adjtimex(mut timex: libc::timex) -> io::Result<libc::timex> {
    #[allow(unsafe_code, reason = "rustix has no wrapper for adjtimex")]
    // SAFETY: the pointer is to a `timex` of our own, which the kernel reads and writes.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    match state {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(timex),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_understands_the_struct() {
        // Without a mode it only tells, and anybody may ask.
        assert!(adjtimex(nothing()).unwrap().tick > 0);
    }

    #[test]
    fn a_step_back_has_a_fraction_that_goes_forward() {
        let step = |offset| {
            let time = timex(Adjustment::Step { offset, error: 0 }).time;
            (time.tv_sec, time.tv_usec)
        };
        assert_eq!(step(Duration::milliseconds(-1500)), (-2, 500_000_000));
        assert_eq!(step(Duration::milliseconds(1500)), (1, 500_000_000));
        assert_eq!(step(Duration::seconds(-2)), (-2, 0));
    }
}
