//! Values that people set by key, read strictly: each that is not understood is named, and the others still count.

use std::borrow::Cow;
use std::str::FromStr;

/// Reads values, and notes what is wrong with them: the key and the reason, never the value.
pub struct Reader<'a> {
    property: &'a dyn Fn(&str) -> Option<Cow<'a, str>>,
    problems: Vec<String>,
}

impl<'a> Reader<'a> {
    /// Reads what `property` has.
    pub fn new(property: &'a dyn Fn(&str) -> Option<Cow<'a, str>>) -> Self {
        let problems = Vec::new();
        Self { property, problems }
    }

    /// The text under `key`; an empty one counts as none.
    pub fn text(&self, key: &str) -> Option<String> {
        let text = (self.property)(key)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The value under `key`.
    pub fn parsed<T: FromStr<Err: ToString>>(&mut self, key: &str) -> Option<T> {
        match self.text(key)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(key, &error.to_string());
                None
            }
        }
    }

    /// The values under `key`, `most` at most, between any of `separators`.
    pub fn list<T>(
        &mut self,
        key: &str,
        separators: &[char],
        most: usize,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let text = self.text(key).unwrap_or_default();
        let mut words = text
            .split(separators)
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let mut values = Vec::new();
        for word in words.by_ref().take(most) {
            match parse(word) {
                Ok(value) => values.push(value),
                Err(error) => self.problem(key, &error),
            }
        }
        if words.next().is_some() {
            self.problem(key, &format!("there are more than {most}"));
        }
        values
    }

    /// Notes that the value under `key` cannot be.
    pub fn problem(&mut self, key: &str, reason: &str) {
        self.problems.push(format!("{key}: {reason}"));
    }

    /// What was wrong.
    pub fn finish(self) -> Vec<String> {
        self.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_ceiling_is_told_and_cut() {
        let property = |_: &str| Some("1, 2, 3,".into());
        let mut reader = Reader::new(&property);
        let parse = |word: &str| word.parse::<u8>().map_err(|error| error.to_string());
        assert_eq!(reader.list("a", &[','], 2, parse), [1, 2]);
        assert_eq!(reader.list("b", &[','], 3, parse), [1, 2, 3]);
        assert_eq!(reader.finish(), ["a: there are more than 2"]);
    }
}
