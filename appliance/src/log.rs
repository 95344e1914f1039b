//! One line per event on standard error.
//!
//! An appliance's standard error is the pipe that feeds its consoles (see `init::console`): a line is one write of at
//! most [`LIMIT`] bytes, so that lines of two processes never mix, and a write that fails is dropped, so that a stuck
//! console stops nobody. Text from outside is escaped here, once: no event can forge a line or move a cursor.

use std::fmt;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use tokio::sync::broadcast;

use crate::clock::{Clock, Moment};

/// The longest line in bytes: POSIX promises that a pipe takes `PIPE_BUF` (4096) bytes whole or not at all.
pub const LIMIT: usize = 4096;

const CUT: &str = "...";

/// Whether only warnings and errors are told.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Lines that wait for whoever follows the log; of more the oldest are dropped.
const QUEUE: usize = 512;

/// Whether what this process tells comes back to it by [`relay`].
static IS_RELAYED: AtomicBool = AtomicBool::new(false);

static LINES: LazyLock<broadcast::Sender<Line>> = LazyLock::new(|| broadcast::Sender::new(QUEUE));

/// A line of the log.
#[derive(Debug, Clone)]
pub struct Line {
    /// When it was told.
    pub at: Moment,
    /// `vcc: ` and what was told, without control characters.
    pub text: Arc<str>,
}

/// Follows what is told from now on. Whoever is too slow is told how many lines it missed.
pub fn follow() -> broadcast::Receiver<Line> {
    LINES.subscribe()
}

/// All lines come by [`relay`] from now on, those of this process too.
pub fn be_relayed() {
    IS_RELAYED.store(true, Ordering::Relaxed);
}

/// Gives a line of all that share the consoles to those who follow.
pub fn relay(line: Line) {
    // Nobody may follow.
    let _ = LINES.send(line);
}

/// Tells warnings and errors alone from now on: for a program that tells the rest itself.
pub fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

/// Something a reader of the console wants to know.
pub fn info(message: impl fmt::Display) {
    if !IS_QUIET.load(Ordering::Relaxed) {
        emit("", &message);
    }
}

/// Something is not as it should be; the appliance goes on.
pub fn warn(message: impl fmt::Display) {
    emit("warning: ", &message);
}

/// Something failed and a person has to act.
pub fn error(message: impl fmt::Display) {
    emit("error: ", &message);
}

/// Writes lines of ours such as the console's banner as they are, in as few writes as the ceiling allows.
pub fn block(text: &str) {
    for part in parts(text) {
        let _ = std::io::stderr().lock().write_all(part.as_bytes());
    }
}

/// Whole lines of at most [`LIMIT`] bytes together; a longer line is left out.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in text.split_inclusive('\n').filter(|line| line.len() <= LIMIT) {
        match parts.last_mut() {
            Some(part) if part.len() + line.len() <= LIMIT => part.push_str(line),
            _ => parts.push(line.to_owned()),
        }
    }
    parts
}

fn emit(level: &str, message: &dyn fmt::Display) {
    let text = line(level, &message.to_string());
    // Nothing can be done for a line that nobody can read.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    if !IS_RELAYED.load(Ordering::Relaxed) && LINES.receiver_count() > 0 && !is_secret(&text) {
        relay(Line {
            at: Clock::System.now(),
            text: text.trim_end_matches('\n').into(),
        });
    }
}

/// Whether a line is for people in front of the machine alone.
pub fn is_secret(line: &str) -> bool {
    line.contains("set-up code=")
}

/// `vcc: LEVELMESSAGE` with every control character escaped, cut to [`LIMIT`] bytes, ending in a newline.
fn line(level: &str, message: &str) -> String {
    let mut line = format!("vcc: {level}");
    for character in message.chars() {
        let before = line.len();
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
        if line.len() > LIMIT - 1 - CUT.len() {
            line.truncate(before);
            line.push_str(CUT);
            break;
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_forge_a_line() {
        let text = line("", "name\nvcc: ready\u{1b}[2J\r");
        assert_eq!(text, "vcc: name\\nvcc: ready\\u{1b}[2J\\r\n");
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let text = line("error: ", &"é".repeat(5000));
        assert!(text.len() <= LIMIT && text.ends_with("...\n"));
    }

    #[test]
    fn a_long_block_is_written_in_parts_that_end_with_a_line() {
        let text = "a line of the banner\n".repeat(500);
        let parts = parts(&text);
        assert!(
            parts
                .iter()
                .all(|part| part.len() <= LIMIT && part.ends_with('\n'))
        );
        assert_eq!(parts.concat(), text);
    }
}
