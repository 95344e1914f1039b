//! The line being typed: bytes of a keyboard or a serial line to what a person meant.

/// More than this is not taken: a list of routes is the longest that anybody has to type.
const LONGEST: usize = 1024;
const BELL: &str = "\x07";
const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const CTRL_U: u8 = 0x15;
const ESCAPE: u8 = 0x1b;

/// The line so far.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
    after: After,
}

/// What came before, as far as it says what the next byte means.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum After {
    #[default]
    Nothing,
    /// The line end that a line feed would say again.
    Return,
    Escape,
    /// A key that sends several bytes, such as an arrow.
    Sequence,
}

/// What a byte made of the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// The line goes on; this is shown.
    Echo(&'static str),
    /// Likewise, for what was typed itself.
    Character(char),
    /// The line is whole.
    Whole(String),
    /// Back.
    Cancelled,
}

impl Line {
    /// Takes a byte. What is not printable ASCII is no part of a line: no answer needs it, and half a character of
    /// another encoding can do no harm.
    pub(super) fn take(&mut self, byte: u8) -> Typed {
        match (std::mem::take(&mut self.after), byte) {
            (After::Escape, b'[' | b'O') => {
                self.after = After::Sequence;
                Typed::Echo("")
            }
            // Parameters come before the byte that ends a sequence (ECMA-48, 5.4).
            (After::Sequence, 0x20..=0x3f) => {
                self.after = After::Sequence;
                Typed::Echo("")
            }
            (After::Sequence, 0x40..=0x7e) | (After::Return, b'\n') => Typed::Echo(""),
            (_, ESCAPE) => {
                self.after = After::Escape;
                Typed::Echo("")
            }
            (_, b'\r') => {
                self.after = After::Return;
                Typed::Whole(std::mem::take(&mut self.text))
            }
            (_, b'\n') => Typed::Whole(std::mem::take(&mut self.text)),
            (_, CTRL_C | CTRL_D) => {
                self.text.clear();
                Typed::Cancelled
            }
            (_, CTRL_U) => {
                self.text.clear();
                Typed::Echo("\n> ")
            }
            (_, 0x08 | 0x7f) => match self.text.pop() {
                Some(_) => Typed::Echo("\x08 \x08"),
                None => Typed::Echo(""),
            },
            (_, 0x20..=0x7e) if self.text.len() < LONGEST => {
                self.text.push(char::from(byte));
                Typed::Character(char::from(byte))
            }
            (_, 0x20..=0x7e) => Typed::Echo(BELL),
            _ => Typed::Echo(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        let mut line = Line::default();
        let whole = bytes.iter().filter_map(|&byte| match line.take(byte) {
            Typed::Whole(text) => Some(text),
            _ => None,
        });
        whole.collect()
    }

    #[test]
    fn every_line_end_counts_once() {
        assert_eq!(lines(b"1\r\n2\n3\r4\r"), ["1", "2", "3", "4"]);
        assert_eq!(lines(b"\r\r\n\n"), ["", "", ""]);
    }

    #[test]
    fn what_was_mistyped_can_be_taken_back() {
        assert_eq!(lines(b"12\x083\x7f4\r"), ["14"]);
        assert_eq!(lines(b"\x7f\x7fa\r"), ["a"]);
        assert_eq!(lines(b"wrong\x15right\r"), ["right"]);
        assert_eq!(lines(b"wrong\x031\r"), ["1"]);
    }

    #[test]
    fn control_characters_keys_and_half_characters_are_no_part_of_a_line() {
        assert_eq!(lines(b"\x00a\x1b[Ab\x1bOPc\x1b[1;5Cd\xc3e\xff\xfe\r"), ["abcde"]);
        assert_eq!(lines("aäöb\r".as_bytes()), ["ab"]);
    }

    #[test]
    fn a_line_has_a_ceiling() {
        let long = [vec![b'x'; LONGEST + 500], b"\r".to_vec()].concat();
        assert_eq!(lines(&long)[0].len(), LONGEST);
    }
}
