//! Lines that wait for where they go to, the oldest of which are lost where that takes too long.

use std::collections::VecDeque;

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

    pub(super) fn first(&self) -> Option<&str> {
        self.lines.front().map(String::as_str)
    }

    pub(super) fn pop(&mut self) -> Option<String> {
        let line = self.lines.pop_front()?;
        self.length -= line.len();
        Some(line)
    }

    /// Counts lines that were lost before they came here.
    pub(super) fn lose(&mut self, lines: u64) {
        self.lost += lines;
    }

    /// How many were lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// That was told.
    pub(super) fn lost_is_told(&mut self) {
        self.lost = 0;
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
        assert_eq!((backlog.lost(), backlog.first()), (989, Some("line 989\n")));
        while backlog.pop().is_some() {}
        assert_eq!((backlog.length, backlog.lost()), (0, 989));
    }
}
