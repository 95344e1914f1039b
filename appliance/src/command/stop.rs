//! `halt`, `poweroff` and `reboot`: the machine's own names, by which PID 1 is asked to stop it.

use std::process::ExitCode;

use rustix::process::{Pid, Signal, kill_process};

use crate::log;

/// The signal by which PID 1 is asked to stop the machine; BusyBox's init takes the same ones.
pub(crate) fn stop_signal(name: &str) -> Option<Signal> {
    match name {
        "halt" => Some(Signal::USR1),
        "poweroff" => Some(Signal::USR2),
        "reboot" => Some(Signal::TERM),
        _ => None,
    }
}

pub(super) fn stop(signal: Signal) -> ExitCode {
    match kill_process(Pid::INIT, signal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(format_args!("PID 1 cannot be asked to stop the machine: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_names_stop_a_machine() {
        assert_eq!(stop_signal("poweroff"), Some(Signal::USR2));
        assert_eq!(stop_signal("vcc"), None);
    }
}
