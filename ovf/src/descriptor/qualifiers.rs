//! Qualifiers: what narrows a property's type (DSP0243 9.5.1, table 7; DSP0004 5.6.3).

use std::fmt;

use super::property_type::PropertyType;
use crate::error::{Error, Kind, quoted};

/// The qualifiers of a property.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Qualifiers {
    /// `MinLen(n)`: the least number of characters.
    pub min_len: Option<u64>,
    /// `MaxLen(n)`: the greatest number of characters.
    pub max_len: Option<u64>,
    /// `MinValue(n)`: the least number.
    pub min_value: Option<i128>,
    /// `MaxValue(n)`: the greatest number.
    pub max_value: Option<i128>,
    /// `ValueMap{"a","b"}`: the only values; empty means any.
    pub value_map: Vec<String>,
    /// What another tool wrote and this reader does not understand, as written. Nothing passes such qualifiers.
    pub unreadable: Option<String>,
}

impl Qualifiers {
    /// Reads qualifiers parted by commas, semicolons or white space.
    ///
    /// # Errors
    /// [`Kind::PropertyQualifiers`] for an unknown qualifier, a broken number or string, or one given twice.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Parser { rest: text }.run()
    }

    /// As [`Qualifiers::parse`], for a descriptor that must stay readable whatever it says here.
    pub(super) fn read(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|_| Qualifiers {
            unreadable: Some(text.to_owned()),
            ..Qualifiers::default()
        })
    }

    /// Whether `value`, which is of type `property_type`, is within the qualifiers.
    ///
    /// # Errors
    /// [`Kind::PropertyValue`] if not, with a reason that does not repeat the value; [`Kind::PropertyQualifiers`] if
    /// they could not be read.
    pub fn check(&self, property_type: &PropertyType, value: &str) -> Result<(), Error> {
        if let Some(text) = &self.unreadable {
            return Self::parse(text).map(drop);
        }
        let outside = |reason: String| Err(Error::new(Kind::PropertyValue, reason));
        if property_type.is_text() {
            let length = value.chars().count() as u64;
            if let Some(min) = self.min_len.filter(|min| length < *min) {
                return outside(format!("is shorter than {min} characters"));
            }
            if let Some(max) = self.max_len.filter(|max| length > *max) {
                return outside(format!("is longer than {max} characters"));
            }
        }
        if let Ok(number) = value.parse::<i128>() {
            if let Some(min) = self.min_value.filter(|min| number < *min) {
                return outside(format!("is less than {min}"));
            }
            if let Some(max) = self.max_value.filter(|max| number > *max) {
                return outside(format!("is more than {max}"));
            }
        } else if let Ok(number) = value.parse::<f64>() {
            self.check_real(number)?;
        }
        if !self.value_map.is_empty() && !self.value_map.iter().any(|allowed| allowed == value) {
            return outside(format!("is none of {}", quote_list(&self.value_map)));
        }
        Ok(())
    }

    fn check_real(&self, number: f64) -> Result<(), Error> {
        // Bounds are whole numbers far below 2^53 in practice; the comparison only has to order them.
        #[allow(
            clippy::cast_precision_loss,
            reason = "a bound's rounding cannot move it past a real number's own"
        )]
        let below = self.min_value.is_some_and(|min| number < min as f64);
        #[allow(
            clippy::cast_precision_loss,
            reason = "a bound's rounding cannot move it past a real number's own"
        )]
        let above = self.max_value.is_some_and(|max| number > max as f64);
        if below || above {
            return Err(Error::new(
                Kind::PropertyValue,
                "is outside MinValue and MaxValue",
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Qualifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.unreadable {
            return f.write_str(text);
        }
        let mut parts = Vec::new();
        parts.extend(self.min_len.map(|n| format!("MinLen({n})")));
        parts.extend(self.max_len.map(|n| format!("MaxLen({n})")));
        parts.extend(self.min_value.map(|n| format!("MinValue({n})")));
        parts.extend(self.max_value.map(|n| format!("MaxValue({n})")));
        if !self.value_map.is_empty() {
            parts.push(format!("ValueMap{{{}}}", quote_list(&self.value_map)));
        }
        f.write_str(&parts.join(","))
    }
}

fn quote_list(values: &[String]) -> String {
    let quote = |value: &String| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    values.iter().map(quote).collect::<Vec<_>>().join(",")
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn run(mut self) -> Result<Qualifiers, Error> {
        let mut qualifiers = Qualifiers::default();
        loop {
            self.rest = self
                .rest
                .trim_start_matches(|c: char| matches!(c, ',' | ';') || c.is_whitespace());
            if self.rest.is_empty() {
                return Ok(qualifiers);
            }
            let end = self
                .rest
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest.trim_start();
            let before = qualifiers.clone();
            match name {
                "MinLen" => set(&mut qualifiers.min_len, self.number()?)?,
                "MaxLen" => set(&mut qualifiers.max_len, self.number()?)?,
                "MinValue" => set(&mut qualifiers.min_value, self.number()?)?,
                "MaxValue" => set(&mut qualifiers.max_value, self.number()?)?,
                "ValueMap" if before.value_map.is_empty() => qualifiers.value_map = self.values()?,
                _ => return Err(self.wrong(&format!("{} is no qualifier, or stands twice", quoted(name)))),
            }
        }
    }

    /// `(n)`
    fn number<T: std::str::FromStr>(&mut self) -> Result<T, Error> {
        let inner = self.rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let Some((text, rest)) = inner else {
            return Err(self.wrong("a number in parentheses is missing"));
        };
        let number = text
            .trim()
            .parse()
            .map_err(|_| self.wrong("the number in parentheses is none"))?;
        self.rest = rest;
        Ok(number)
    }

    /// `{"a", "b"}`, where `\"` and `\\` stand for themselves; words without quotes are read too.
    fn values(&mut self) -> Result<Vec<String>, Error> {
        let Some(rest) = self.rest.strip_prefix('{') else {
            return Err(self.wrong("ValueMap has no {"));
        };
        self.rest = rest;
        let mut values = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            values.push(if self.rest.starts_with('"') {
                self.quoted()?
            } else {
                self.bare()?
            });
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix('}') {
                self.rest = rest;
                return Ok(values);
            }
            let Some(rest) = self.rest.strip_prefix(',') else {
                return Err(self.wrong("values must be parted by commas"));
            };
            self.rest = rest;
        }
    }

    fn quoted(&mut self) -> Result<String, Error> {
        let mut value = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, escaped)) => value.push(escaped),
                    None => break,
                },
                _ => value.push(c),
            }
        }
        Err(self.wrong("a quoted value has no end"))
    }

    fn bare(&mut self) -> Result<String, Error> {
        let end = self.rest.find([',', '}']).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        let value = value.trim();
        if value.is_empty() || value.contains('"') {
            return Err(self.wrong("ValueMap has an empty value"));
        }
        Ok(value.to_owned())
    }

    fn wrong(&self, reason: &str) -> Error {
        let near = quoted(self.rest);
        Error::new(Kind::PropertyQualifiers, format!("{reason} (before {near})"))
    }
}

fn set<T>(slot: &mut Option<T>, value: T) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(Kind::PropertyQualifiers, "a qualifier stands twice")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Qualifiers {
        Qualifiers::parse(text).unwrap()
    }

    #[test]
    fn the_spellings_of_the_field_are_read() {
        assert_eq!(parse("MinLen(8),MaxLen(65535)").max_len, Some(65535));
        assert_eq!(parse("MinValue(10) MaxValue(1000)").min_value, Some(10));
        assert_eq!(
            parse("ValueMap{\"a b\", \"c\\\"d\\\\\" ,e}").value_map,
            ["a b", "c\"d\\", "e"]
        );
        assert_eq!(parse(" MaxLen( 5 ) ; ValueMap {\"x}\"}").value_map, ["x}"]);
        assert_eq!(parse(""), Qualifiers::default());
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_lets_no_value_pass() {
        for bad in [
            "MinLen",
            "MinLen(x)",
            "MinLen(1),MinLen(2)",
            "Max(1)",
            "ValueMap{}",
            "ValueMap{\"a",
            "ValueMap{a b\"}",
            "MinLen(-1)",
        ] {
            assert_eq!(
                Qualifiers::parse(bad).unwrap_err().kind(),
                Kind::PropertyQualifiers,
                "{bad}"
            );
            let read = Qualifiers::read(bad);
            assert_eq!(read.to_string(), bad);
            assert!(read.check(&PropertyType::String, "a").is_err());
        }
    }

    #[test]
    fn values_are_held_to_lengths_numbers_and_lists() {
        let string = PropertyType::String;
        assert!(parse("MinLen(2),MaxLen(3)").check(&string, "éé").is_ok());
        assert!(parse("MinLen(2)").check(&string, "é").is_err());
        assert!(parse("MaxLen(3)").check(&string, "abcd").is_err());
        assert!(
            parse("MinValue(1),MaxValue(9)")
                .check(&PropertyType::Int, "10")
                .is_err()
        );
        assert!(parse("MaxValue(9)").check(&PropertyType::Real32, "9.5").is_err());
        assert!(parse("MaxLen(1)").check(&PropertyType::Uint16, "100").is_ok());
        assert!(parse("ValueMap{\"a\"}").check(&string, "b").is_err());
    }

    proptest! {
        #[test]
        fn written_qualifiers_read_back(
            min_len in proptest::option::of(any::<u64>()),
            max_value in proptest::option::of(any::<i128>()),
            value_map in proptest::collection::vec("\\PC{1,8}", 0..4),
        ) {
            let qualifiers = Qualifiers { min_len, max_value, value_map, ..Qualifiers::default() };
            prop_assert_eq!(parse(&qualifiers.to_string()), qualifiers);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(MinLen|ValueMap|\\(|\\)|\\{|\\}|\"|\\\\|,| |é|1){0,16}") {
            let _ = Qualifiers::parse(&text);
        }
    }
}
