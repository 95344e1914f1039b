//! Signals that end the process: what is half made goes first.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// What else is to be done before a signal ends the process.
static BEFORE_THE_END: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// Has something else done before a signal ends the process, in place of what was said earlier.
pub(crate) fn before_the_end(what: impl FnOnce() + Send + 'static) {
    *BEFORE_THE_END.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(what));
}

/// From now on a signal removes what is not finished, and then does what it does.
pub(crate) fn clean_up() -> io::Result<()> {
    let mut signals = Signals::new(heeded())?;
    thread::spawn(move || {
        for signal in signals.forever() {
            packer::unfinished::remove_all();
            let what = BEFORE_THE_END
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(what) = what {
                what();
            }
            // It kills the process; where it can't, the next signal tries again.
            let _ = emulate_default_handler(signal);
        }
    });
    Ok(())
}

/// The signals that end this process.
pub(crate) fn heeded() -> impl Iterator<Item = i32> {
    let ignored = ignored();
    [SIGHUP, SIGINT, SIGTERM]
        .into_iter()
        .filter(move |signal| ignored >> (signal - 1) & 1 == 0)
}

/// The signals that whoever started this process made it ignore, as `nohup` does: a bit for each, from 1 on.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
