//! Lines out of the pieces that a pipe gives.

use crate::log::{LIMIT, is_secret};

/// Puts lines together.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// A line that has not ended.
    begun: Vec<u8>,
}

impl Lines {
    /// The lines that end in these bytes and are worth keeping, without their newlines and with control characters escaped.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                // What is longer was cut where it came from, or comes from nobody of ours.
                if self.begun.len() < LIMIT {
                    self.begun.push(byte);
                }
                continue;
            }
            let text = String::from_utf8_lossy(&self.begun);
            if is_kept(&text) {
                lines.push(escaped(&text));
            }
            self.begun.clear();
        }
        lines
    }
}

/// What is shown to people in front of the machine is no event; and a code that is shown is for them alone.
fn is_kept(line: &str) -> bool {
    let is_shown = line.is_empty() || line.starts_with("  ") || line.starts_with("----");
    !is_shown && !is_secret(line)
}

fn escaped(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        match character.is_control() {
            true => text.extend(character.escape_default()),
            false => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Check;
    use crate::init::console::banner;
    use crate::machine::{Beat, Machine};
    use crate::role::Role;

    #[test]
    fn lines_are_whole_whatever_the_pieces_and_move_no_cursor() {
        let text = "vcc: one\nthread 'main' panicked\r\nvcc: \u{1b}[2Jthree\n".as_bytes();
        let expected = ["vcc: one", "thread 'main' panicked\\r", "vcc: \\u{1b}[2Jthree"];
        for length in 1..text.len() {
            let mut lines = Lines::default();
            let found: Vec<_> = text.chunks(length).flat_map(|part| lines.take(part)).collect();
            assert_eq!(found, expected, "{length}");
        }
        let endless = Lines::default().take(&[&[b'x'; 100_000][..], b"\n"].concat());
        assert_eq!(endless[0].len(), LIMIT);
    }

    #[test]
    fn what_is_shown_to_people_and_their_code_stay_out() {
        let beat = Beat {
            fingerprint: "AA:BB".repeat(16),
            ephemeral: false,
            setup_code: Some("0123-4567-89AB".to_owned()),
            notice: None,
            network_changes: 0,
            role_changes: 0,
            checks: Vec::new(),
        };
        let checks = [Check::fail("state-disk", "there is none", "Attach it.")];
        let shown = banner(&Machine::default(), Role::Node, &beat, &checks);
        let mut lines = Lines::default();
        assert_eq!(lines.take(shown.as_bytes()), Vec::<String>::new());
        assert_eq!(
            lines.take(b"vcc: set-up code=0123-4567-89AB\n"),
            Vec::<String>::new()
        );
    }
}
