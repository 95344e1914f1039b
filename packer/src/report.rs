//! What the commands print: text for people or JSON for programs on standard output, errors on standard error.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

/// Writes to standard output; a reader that went away is no failure of ours.
pub(crate) fn print(text: &str) -> io::Result<()> {
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

/// Writes one JSON document and a newline.
pub(crate) fn print_json(value: &Value) -> io::Result<()> {
    print(&format!("{value:#}\n"))
}

/// Writes one JSON document on one line: an event of a stream.
pub(crate) fn print_json_line(value: &Value) -> io::Result<()> {
    print(&format!("{value}\n"))
}

/// A stranger's text without control characters: it must not move the cursor or colour the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let (shift, unit) = match bytes {
        0..1024 => return format!("{bytes} B"),
        1024..0x10_0000 => (10, "KiB"),
        0x10_0000..0x4000_0000 => (20, "MiB"),
        _ => (30, "GiB"),
    };
    let tenths = (u128::from(bytes) * 10) >> shift;
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Tells of a failure and gives its exit code.
pub(crate) fn failure(error: &anyhow::Error, json: bool) -> ExitCode {
    tell_failure(error, json, &mut anstream::stdout())
}

/// As [`failure`], where standard output is for something else.
pub(crate) fn failure_beside(error: &anyhow::Error, json: bool) -> ExitCode {
    tell_failure(error, json, &mut anstream::stderr())
}

fn tell_failure(error: &anyhow::Error, json: bool, results: &mut dyn io::Write) -> ExitCode {
    let refused = matches!(error.downcast_ref(), Some(packer::Error::Refused(_)));
    let code = if refused { 1 } else { 2 };
    let text = printable(&chain(error));
    let outcome = if json {
        let told = json!({ "error": { "message": text, "refused": refused } });
        writeln!(results, "{told:#}")
    } else {
        writeln!(anstream::stderr(), "ova: {text}")
    };
    // Where even the error can't be told, the exit code still tells it.
    drop(outcome);
    ExitCode::from(code)
}

/// The error and its causes, leaving out a cause whose words its parent repeats.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
    }
    text
}
