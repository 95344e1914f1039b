//! The watchdog's ioctl, after the kernel's `include/uapi/linux/watchdog.h`.

use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::{Updater, ioctl, opcode};

const SET_TIMEOUT: rustix::ioctl::Opcode = opcode::read_write::<i32>(b'W', 6);

/// Asks the watchdog to wait `seconds` between two signs of life; gives what it waits in fact.
pub(crate) fn set_watchdog_timeout(watchdog: impl AsFd, seconds: i32) -> io::Result<i32> {
    let mut value = seconds;
    #[allow(
        unsafe_code,
        reason = "WDIOC_SETTIMEOUT updates one int and rustix has no wrapper for it"
    )]
    // SAFETY: the opcode is defined for a pointer to an `int`, which the kernel reads and writes.
    unsafe {
        ioctl(watchdog, Updater::<SET_TIMEOUT, i32>::new(&mut value))?;
    }
    Ok(value)
}
