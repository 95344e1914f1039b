//! What is typed on the consoles: one thread for each, with a menu of its own.

use std::fs::File;
use std::io::Read as _;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr,
};

use super::console;
use super::event::Event;
use super::menu::Menu;
use super::rescue::Rescue;
use crate::log;

/// A menu that nobody types into is closed after this.
const IDLE: Timespec = Timespec {
    tv_sec: 300,
    tv_nsec: 0,
};
/// How long a line that hung up is left alone.
const HUNG_UP: Duration = Duration::from_secs(10);

/// Listens to every console that can be typed on. One that can't be is only shown to.
pub fn start(events: &SyncSender<Event>) {
    for (name, tty) in console::keyboards() {
        let rescue = Rescue::new(events.clone());
        let serve = move || {
            if let Err(error) = serve(tty, &rescue) {
                log::warn(format_args!("a console takes no input any more: {error}"));
            }
        };
        if let Err(error) = thread::Builder::new().name(name.clone()).spawn(serve) {
            log::warn(format_args!("{name}: takes no input: {error}"));
        }
    }
}

fn serve(mut tty: File, rescue: &Rescue) -> std::io::Result<()> {
    take_over(&tty)?;
    let mut menu = Menu::default();
    let mut bytes = [0; 64];
    loop {
        let mut ready = [PollFd::new(&tty, PollFlags::IN)];
        match poll(&mut ready, menu.is_open().then_some(&IDLE)) {
            Ok(0) => {
                let text = menu.close("Nobody typed anything for five minutes.");
                console::put(&mut tty, text.as_bytes());
                continue;
            }
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let length = match tty.read(&mut bytes) {
            Ok(0) => {
                menu.close("");
                thread::sleep(HUNG_UP);
                continue;
            }
            Ok(length) => length,
            Err(error) if is_passing(&error) => continue,
            Err(error) => return Err(error),
        };
        for &byte in bytes.get(..length).unwrap_or_default() {
            let step = menu.take(byte);
            console::put(&mut tty, step.output.as_bytes());
            if let Some(action) = step.action {
                let report = menu.tell(&rescue.perform(action));
                console::put(&mut tty, report.as_bytes());
            }
        }
    }
}

fn is_passing(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::Interrupted | std::io::ErrorKind::WouldBlock
    )
}

/// Every byte comes at once and as it is, and is shown by the menu alone.
fn take_over(tty: &File) -> std::io::Result<()> {
    let mut modes = tcgetattr(tty)?;
    modes.local_modes -=
        LocalModes::ICANON | LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ISIG | LocalModes::IEXTEN;
    modes.input_modes -= InputModes::IXON | InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR;
    // A serial line of three wires has no carrier to lose.
    modes.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(tty, OptionalActions::Now, &modes)?;
    Ok(())
}
