//! Questions to whoever sits at the terminal, and how something goes that takes a while.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Read as _, Write as _};

use super::failure::{Failure, Result};
use super::output::{note, printable};
use crate::error::{Error, Kind};

const TERMINAL: &str = "/dev/tty";
/// The longest line that is taken.
const LINE: usize = 4096;

/// Sees that somebody can be asked: a program that feeds us has nobody sitting at its terminal.
pub(super) fn required(what: &str, instead: &str) -> Result<()> {
    open(what, instead).map(drop)
}

fn open(what: &str, instead: &str) -> Result<File> {
    let terminal = OpenOptions::new().read(true).write(true).open(TERMINAL);
    match terminal {
        Ok(terminal) if io::stdin().is_terminal() => Ok(terminal),
        _ => Err(Failure::usage(
            what,
            "nobody can be asked: this is no terminal",
            instead,
        )),
    }
}

fn failed(error: io::Error) -> Failure {
    Error::new(Kind::Io, TERMINAL, "cannot be asked")
        .because(error)
        .into()
}

/// Asks for a line that nobody sees. `instead` says what to do without a terminal.
pub(super) fn hidden(question: &str, instead: &str) -> Result<String> {
    required(question.trim_end_matches([':', ' ']), instead)?;
    rpassword::prompt_password(question).map_err(failed)
}

/// Asks yes or no; whatever isn't yes is no. The text must be printable.
pub(crate) fn confirm(text: &str, instead: &str) -> Result<bool> {
    let what = text.lines().last().unwrap_or_default().trim_end_matches('?');
    let mut terminal = open(what, instead)?;
    write!(terminal, "{text} [y/N] ").map_err(failed)?;
    let mut line = [0; LINE];
    // A terminal gives a line at a time.
    let length = terminal.read(&mut line).map_err(failed)?;
    let answer = String::from_utf8_lossy(line.get(..length).unwrap_or_default());
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Whether to do what can't be undone: `--yes` was given, or somebody says so.
pub(crate) fn may_go_on(yes: bool, question: &str) -> Result<()> {
    match yes || confirm(question, "--yes does it without asking")? {
        true => Ok(()),
        false => Err(Failure::refused(
            "you",
            "said no, and nothing was changed",
            "--yes does it without asking",
        )),
    }
}

/// How something goes: one line on a terminal that is written over, elsewhere a line for each change. On standard error, so that
/// results stay alone.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    last: String,
}

impl Progress {
    /// Tells how it is now.
    pub(crate) fn tell(&mut self, text: &str) {
        let text = printable(text);
        if text == self.last {
            return;
        }
        match io::stderr().is_terminal() {
            // EL (ECMA-48) clears what is left of a longer line.
            true => _ = write!(io::stderr(), "\r{text}\u{1b}[K"),
            false => note(&text),
        }
        self.last = text;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.last.is_empty() && io::stderr().is_terminal() {
            let _ = writeln!(io::stderr());
        }
    }
}
