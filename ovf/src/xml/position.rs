//! Where something stands in a text.

use crate::error::Error;

/// A place in a text, as people and editors count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1; lines end with LF, or CR LF.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Byte offset in the file, from 0, the byte order mark counted.
    pub offset: u64,
}

/// Where a value was read: nowhere for one that a program built.
///
/// Origins never take part in comparison, so that a descriptor read back equals the one that was written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin(pub Option<Position>);

impl Origin {
    /// The error with this place, if there is one.
    pub(crate) fn place(self, error: Error) -> Error {
        match self.0 {
            Some(position) => error.at(position),
            None => error,
        }
    }
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl From<Position> for Origin {
    fn from(position: Position) -> Self {
        Origin(Some(position))
    }
}

/// The starts of a text's lines, to turn offsets into lines without reading the text again.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let starts = std::iter::once(0)
            .chain(
                text.bytes()
                    .enumerate()
                    .filter(|(_, byte)| *byte == b'\n')
                    .map(|(at, _)| at + 1),
            )
            .collect();
        Lines { starts }
    }

    /// The position of byte `offset` of `text`, where `shift` bytes stand before the text in its file.
    pub(super) fn position(&self, text: &str, offset: usize, shift: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let column = text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        Position {
            line: line as u64,
            column: column as u64,
            offset: (offset + shift) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_columns_count_characters() {
        let text = "ab\né<x>\n";
        let lines = Lines::of(text);
        assert_eq!(
            lines.position(text, 0, 0),
            Position {
                line: 1,
                column: 1,
                offset: 0
            }
        );
        assert_eq!(
            lines.position(text, 5, 3),
            Position {
                line: 2,
                column: 2,
                offset: 8
            }
        );
        assert_eq!(
            lines.position(text, text.len(), 0),
            Position {
                line: 3,
                column: 1,
                offset: 9
            }
        );
    }
}
