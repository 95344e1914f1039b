//! Lines of the log, and entries of the audit log, as messages (RFC 5424).

use serde::Serialize;

use crate::audit::{Checkpoint, Entry};
use crate::clock::Moment;
use crate::hostname::Hostname;
use crate::log::Line;

/// The program's name in each message.
const PROGRAM: &str = "vcc";
/// Facility 3: system daemons.
const DAEMON: u8 = 3;
/// Facility 13: log audit.
const AUDIT: u8 = 13;
/// What kind of message it is, where it is of no kind (RFC 5424 section 6.2.7).
const NIL: &str = "-";
/// What every receiver ought to take (RFC 5424 section 6.1).
const LONGEST: usize = 2048;

/// How much a line matters (RFC 5424 section 6.2.1).
#[derive(Debug, Clone, Copy)]
enum Severity {
    Error = 3,
    Warning = 4,
    Informational = 6,
}

/// The message of a line, of 2048 bytes at most.
pub(super) fn message(line: &Line, hostname: &Hostname) -> Vec<u8> {
    let text = line.text.strip_prefix("vcc: ").unwrap_or(&line.text);
    let (severity, text) = match (text.strip_prefix("error: "), text.strip_prefix("warning: ")) {
        (Some(text), _) => (Severity::Error, text),
        (_, Some(text)) => (Severity::Warning, text),
        // What doesn't begin with the program's name is the last word of one that panicked.
        _ if text.len() == line.text.len() => (Severity::Error, text),
        _ => (Severity::Informational, text),
    };
    framed((DAEMON, severity), line.at, hostname, NIL, text)
}

/// The message of an entry of the audit log: as JSON, as the API has it.
pub(super) fn entry(entry: &Entry, hostname: &Hostname) -> Vec<u8> {
    let severity = match entry.outcome.as_str() {
        "done" => Severity::Informational,
        _ => Severity::Warning,
    };
    framed((AUDIT, severity), entry.at, hostname, "audit", &json(entry))
}

/// The message of a checkpoint of the audit log, likewise.
pub(super) fn checkpoint(checkpoint: &Checkpoint, hostname: &Hostname) -> Vec<u8> {
    let priority = (AUDIT, Severity::Informational);
    framed(priority, checkpoint.at, hostname, "checkpoint", &json(checkpoint))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn framed(
    (facility, severity): (u8, Severity),
    at: Moment,
    hostname: &Hostname,
    kind: &str,
    text: &str,
) -> Vec<u8> {
    let priority = facility * 8 + severity as u8;
    // What is not all ASCII is marked as UTF-8 (section 6.4).
    let mark = if text.is_ascii() { "" } else { "\u{feff}" };
    let mut message = format!("<{priority}>1 {at} {hostname} {PROGRAM} - {kind} - {mark}{text}");
    message.truncate(message.floor_char_boundary(LONGEST));
    message.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let line = Line {
            at: Moment(1_764_000_000_123),
            text: text.into(),
        };
        String::from_utf8(message(&line, &"north".parse().unwrap())).unwrap()
    }

    #[test]
    fn a_line_is_a_message_of_its_severity() {
        assert_eq!(
            of("vcc: error: vcc.db: is damaged"),
            "<27>1 2025-11-24T16:00:00.123Z north vcc - - - vcc.db: is damaged"
        );
        assert!(of("vcc: warning: slow").starts_with("<28>1 "));
        assert!(of("vcc: listening address=[::]:443").ends_with("vcc - - - listening address=[::]:443"));
        assert!(of("vcc: listening").starts_with("<30>1 "));
        assert!(of("thread 'main' panicked at src/main.rs").starts_with("<27>1 "));
    }

    #[test]
    fn other_scripts_are_marked_and_a_long_one_is_cut_between_characters() {
        assert!(of("vcc: Übung").ends_with(" - - - \u{feff}Übung"));
        let long = of(&format!("vcc: {}", "ä".repeat(2000)));
        assert!((LONGEST - 1..=LONGEST).contains(&long.len()));
    }
}
