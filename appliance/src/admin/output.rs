//! What is printed: text for people or JSON for programs on standard output, remarks on standard error.

use std::io::{self, Write as _};

use serde_json::Value;

use super::failure::Result;
use super::secret;
use super::table::details;
use crate::error::{Error, Kind};
use crate::file::PrivateFile;

/// How results are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// As JSON.
    pub(crate) json: bool,
}

impl Output {
    /// Prints a result: the API's own JSON, or what it is to people.
    pub(crate) fn result(self, value: &Value, text: impl FnOnce() -> String) -> Result<()> {
        match self.json {
            true => document(value),
            false => print(&text()),
        }
    }

    /// Prints a secret that is shown once, alone, or keeps it in its file; programs then get the rest. People get what else there
    /// is to know on standard error.
    pub(crate) fn secret(self, mut made: Value, field: &str, file: Option<PrivateFile>) -> Result<()> {
        let is_kept = file.is_some();
        let secret = made[field].as_str().unwrap_or_default();
        if self.json && !is_kept {
            return document(&made);
        }
        secret::hand_over(secret, file)?;
        if let Some(fields) = made.as_object_mut() {
            fields.shift_remove(field);
        }
        match self.json {
            true => document(&made),
            false => {
                details(&made).lines().for_each(note);
                Ok(())
            }
        }
    }

    /// Tells a person something beside the result.
    pub(crate) fn remark(self, text: &str) {
        if !self.json {
            note(&printable(text));
        }
    }

    /// Prints one of many results: JSON on one line, or a line for people.
    pub(crate) fn line(self, value: &Value, text: impl FnOnce() -> String) -> Result<()> {
        match self.json {
            true => print(&format!("{}\n", escaped(&value.to_string()))),
            false => print(&format!("{}\n", text())),
        }
    }
}

/// Writes one JSON document and a newline.
pub(super) fn document(value: &Value) -> Result<()> {
    print(&format!("{}\n", escaped(&format!("{value:#}"))))
}

/// Writes to standard output; a reader that went away is no failure of ours.
pub(crate) fn print(text: &str) -> Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Io, "standard output", "cannot be written")
                .because(error)
                .into())
        }
        _ => Ok(()),
    }
}

/// A line on standard error.
pub(super) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "vcc: {line}");
}

/// A stranger's text without what moves a cursor, colours a terminal or turns the reading direction around.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_unseen(c) { '\u{fffd}' } else { c })
        .collect()
}

/// JSON in which characters that terminals obey are escaped. They are in strings alone; but for the newlines between the values.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' => text.push(c),
            c if is_unseen(c) => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terminals_obey_is_replaced_in_text_and_escaped_in_json() {
        let hostile = "a\u{1b}[2J\u{9b}2J\u{7f}\r\n\u{202e}b";
        let shown = printable(hostile);
        assert_eq!(shown, "a\u{fffd}[2J\u{fffd}2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}b");
        let value = Value::from(hostile);
        let json = escaped(&format!("{value:#}"));
        assert!(!json.chars().any(is_unseen), "{json:?}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }
}
