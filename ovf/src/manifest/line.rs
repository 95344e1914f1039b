//! The lines that manifests and certificate files are made of: `ALGORITHM(name)= value`.

use std::iter::Peekable;
use std::str::Split;

use super::digest::{DigestAlgorithm, decode_hex};
use super::spelling::{Deviations, Spelling};
use crate::error::{Error, Kind, quoted};

const BLANKS: [char; 2] = [' ', '\t'];

/// The lines of a text without their ends, blank ones left out; what is not canonical is noted.
pub(crate) struct Lines<'a> {
    inner: Peekable<std::iter::Zip<std::ops::RangeFrom<u64>, Split<'a, char>>>,
    pub(crate) deviations: Deviations,
}

impl<'a> Lines<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let mut deviations = Deviations::default();
        let whole = match text.strip_suffix('\n') {
            Some(whole) => whole,
            None => {
                let last = text.matches('\n').count() as u64 + 1;
                deviations.note_if(!text.is_empty(), Spelling::NoFinalLineEnd, last);
                text
            }
        };
        Lines {
            inner: (1..).zip(whole.split('\n')).peekable(),
            deviations,
        }
    }

    /// The next line, if it is as wanted.
    fn next_if(&mut self, wanted: impl Fn(&str) -> bool) -> Option<(u64, &'a str)> {
        let (number, line) = self.inner.next_if(|(_, line)| wanted(strip_end(line)))?;
        let bare = strip_end(line);
        self.deviations
            .note_if(bare.len() < line.len(), Spelling::CarriageReturn, number);
        Some((number, bare))
    }

    /// A statement that stands in `line`, with the lines that its value runs on to: those for which `continues` holds,
    /// given the value so far and the line.
    ///
    /// # Errors
    /// [`Kind::ManifestMalformed`]; [`Kind::ManifestAlgorithm`] for an algorithm that is not known.
    pub(crate) fn statement(
        &mut self,
        number: u64,
        line: &'a str,
        continues: impl Fn(&str, &str) -> bool,
    ) -> Result<Statement<'a>, Error> {
        let mut statement = Statement::parse(number, line, &mut self.deviations)?;
        while let Some((number, more)) = self.next_if(|line| {
            let line = line.trim_matches(BLANKS);
            !line.is_empty() && continues(&statement.value, line)
        }) {
            self.deviations.note(Spelling::WrappedValue, number);
            statement.value.push_str(more.trim_matches(BLANKS));
        }
        Ok(statement)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u64, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (number, line) = self.next_if(|_| true)?;
            if !line.is_empty() {
                return Some((number, line));
            }
            self.deviations.note(Spelling::BlankLine, number);
        }
    }
}

fn strip_end(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

/// Whether a text is hexadecimal digits and nothing else.
pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `ALGORITHM(name)= value`.
pub(crate) struct Statement<'a> {
    pub(crate) algorithm: DigestAlgorithm,
    pub(crate) name: &'a str,
    pub(crate) value: String,
    pub(crate) line: u64,
}

impl<'a> Statement<'a> {
    fn parse(number: u64, line: &'a str, deviations: &mut Deviations) -> Result<Self, Error> {
        let malformed = || {
            let shown = quoted(line);
            let reason = format!("{shown} is not of the form ALGORITHM(name)= value");
            Error::new(Kind::ManifestMalformed, reason).at_line(number)
        };
        let (subject, value) = split_at_equals(line).ok_or_else(malformed)?;
        let bare = subject.trim_end_matches(BLANKS);
        let (algorithm, name) = bare
            .strip_suffix(')')
            .and_then(|inner| inner.split_once('('))
            .ok_or_else(malformed)?;
        let trimmed = algorithm.trim_end_matches(BLANKS);
        let known = DigestAlgorithm::parse(trimmed).map_err(|error| error.at_line(number))?;
        let text = value.trim_end_matches(BLANKS);
        let start = text.trim_start_matches(BLANKS);
        let lead = &text[..text.len() - start.len()];
        let mut note = |found, spelling| deviations.note_if(found, spelling, number);
        note(trimmed.len() < algorithm.len(), Spelling::SpaceBeforeParenthesis);
        note(trimmed != known.name(), Spelling::AlgorithmName);
        note(
            bare.len() < subject.len() || (lead != " " && !start.is_empty()),
            Spelling::SpacesAroundEquals,
        );
        note(text.len() < value.len(), Spelling::TrailingSpace);
        Ok(Statement {
            algorithm: known,
            name,
            value: start.to_owned(),
            line: number,
        })
    }

    /// The value's bytes, if it is hexadecimal.
    pub(crate) fn hex(&self, deviations: &mut Deviations) -> Option<Vec<u8>> {
        let bytes = decode_hex(&self.value)?;
        let capitals = self.value.bytes().any(|byte| byte.is_ascii_uppercase());
        deviations.note_if(capitals, Spelling::HexCase, self.line);
        Some(bytes)
    }
}

/// Parts a line at its last `=` that is no padding of Base64: names may hold one too.
fn split_at_equals(line: &str) -> Option<(&str, &str)> {
    let text = line.trim_end_matches(BLANKS);
    let unpadded = text.trim_end_matches('=');
    let at = match unpadded.rfind('=') {
        Some(at) => at,
        // Nothing follows: the value stands on the lines below.
        None if unpadded.len() < text.len() => unpadded.len(),
        None => return None,
    };
    Some((&line[..at], &line[at + 1..]))
}
