//! Lines that wait for where they go to, the oldest of which are lost where that takes too long.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::clock::Moment;

/// Lines that wait.
#[derive(Debug)]
pub(super) struct Backlog {
    lines: VecDeque<String>,
    length: usize,
    most: usize,
    lost: u64,
}

impl Backlog {
    /// An empty one for `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            length: 0,
            most,
            lost: 0,
        }
    }

    pub(super) fn push(&mut self, line: String) {
        self.length += line.len();
        self.lines.push_back(line);
        while self.length > self.most && self.pop().is_some() {
            self.lost += 1;
        }
    }

    /// What goes out next: that lines were lost, if any were, and then the oldest that is there.
    pub(super) fn next(&self, now: Moment) -> Option<Cow<'_, str>> {
        let line = self.lines.front()?;
        Some(match self.lost {
            0 => line.into(),
            lost => format!("{now} vcc: warning: {lost} lines of the log are lost\n").into(),
        })
    }

    /// That is out.
    pub(super) fn done(&mut self) {
        match self.lost {
            0 => drop(self.pop()),
            _ => self.lost = 0,
        }
    }

    fn pop(&mut self) -> Option<String> {
        let line = self.lines.pop_front()?;
        self.length -= line.len();
        Some(line)
    }

    /// Counts lines that were lost before they came here.
    pub(super) fn lose(&mut self, lines: u64) {
        self.lost += lines;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_counts_what_it_lost() {
        let mut backlog = Backlog::new(100);
        for number in 0..1000 {
            backlog.push(format!("line {number:03}\n"));
        }
        let mut out = Vec::new();
        while let Some(line) = backlog.next(Moment(0)) {
            out.push(line.into_owned());
            backlog.done();
        }
        assert_eq!(
            out[0],
            "1970-01-01T00:00:00Z vcc: warning: 989 lines of the log are lost\n"
        );
        assert_eq!((out.len(), out[1].as_str()), (12, "line 989\n"));
        assert_eq!((backlog.length, backlog.lost), (0, 0));
    }
}
