//! `vcc`: PID 1 of an appliance under the name `init`, the service under every other.

use std::process::ExitCode;

fn main() -> ExitCode {
    if appliance::init::is_called() {
        appliance::init::run();
    }
    appliance::command::run(std::env::args_os())
}
