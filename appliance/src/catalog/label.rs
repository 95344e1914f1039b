//! Labels of versions, and which of two is the newer one.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest, in bytes.
const LONGEST: usize = 64;

/// What a version is called, such as `1.4.0` or `2.0~rc1`: 1 to 64 letters, digits and `.-_+~`, beginning with a letter or a
/// digit.
///
/// Two are compared as versions of Debian's packages are: numbers by their value, `~` before everything else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

impl Label {
    /// The label as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Label {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+~".contains(&byte);
        let begins = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        match begins && text.len() <= LONGEST && text.bytes().all(fine) {
            true => Ok(Self(text)),
            false => {
                Err("a version has 1 to 64 letters, digits and .-_+~, and begins with a letter or a digit")
            }
        }
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Label {
    /// Labels that differ in leading zeros alone are told apart by their text.
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0).then_with(|| self.0.cmp(&other.0))
    }
}

/// What stands before the last hyphen counts first (Debian Policy 5.6.12).
fn compare(one: &str, other: &str) -> Ordering {
    let ((one, its), (other, others)) = (parts(one), parts(other));
    compare_parts(one, other).then_with(|| compare_parts(its, others))
}

fn parts(label: &str) -> (&str, &str) {
    label.rsplit_once('-').unwrap_or((label, ""))
}

/// Turn by turn what is no number, and a number.
fn compare_parts(mut one: &str, mut other: &str) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        let (words, rest) = (split(one, false), split(other, false));
        let (numbers, others) = (split(words.1, true), split(rest.1, true));
        let order = compare_words(words.0, rest.0).then_with(|| compare_numbers(numbers.0, others.0));
        if order != Ordering::Equal {
            return order;
        }
        (one, other) = (numbers.1, others.1);
    }
    Ordering::Equal
}

/// What comes before the first byte that is a digit, or is none.
fn split(text: &str, digits: bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| byte.is_ascii_digit() != digits);
    text.split_at(end.unwrap_or(text.len()))
}

fn compare_words(one: &str, other: &str) -> Ordering {
    // The end comes after a tilde and before everything else; letters come before other signs.
    let rank = |byte: Option<u8>| match byte {
        Some(b'~') => 0,
        None => 1,
        Some(letter) if letter.is_ascii_alphabetic() => u16::from(letter) + 2,
        Some(sign) => u16::from(sign) + 258,
    };
    let longest = one.len().max(other.len());
    (0..longest)
        .map(|place| {
            let at = |text: &str| rank(text.as_bytes().get(place).copied());
            at(one).cmp(&at(other))
        })
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

fn compare_numbers(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.trim_start_matches('0'), other.trim_start_matches('0'));
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn label(text: &str) -> Label {
        text.to_owned().try_into().unwrap()
    }

    #[test]
    fn newer_labels_are_greater() {
        let order = [
            "0.9", "1.0~rc1", "1.0~rc2", "1.0", "1.0-1", "1.0.1", "1.0.2", "1.0.10", "1.9", "1.10", "2a",
            "2b", "10",
        ];
        for pair in order.windows(2) {
            assert!(label(pair[0]) < label(pair[1]), "{pair:?}");
        }
        assert!(label("1.01") != label("1.1"), "they are two names");
        for text in ["", ".1", "1/2", "1 2", "ä", &"1".repeat(65)] {
            assert!(Label::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }

    fn any() -> impl Strategy<Value = String> {
        "[0-9a-z][0-9a-b.+~-]{0,8}"
    }

    proptest! {
        #[test]
        fn the_order_is_one(a in any(), b in any(), c in any()) {
            let (a, b, c) = (label(&a), label(&b), label(&c));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }

    #[test]
    fn dpkg_orders_them_so() {
        let all = [
            "0a", "1.0~rc1", "1.0", "1.0.a", "1.0a", "1.00", "1.0+b", "2~", "10", "1.0-1", "1.0~",
        ];
        // One process: while others fork, files that this one has locked are theirs, too.
        let script = "for a; do for b; do dpkg --compare-versions $a lt $b && echo $a $b; done; done; true";
        let told = Command::new("sh").args(["-c", script, "sh"]).args(all).output();
        let told = told
            .map(|told| String::from_utf8(told.stdout).unwrap())
            .unwrap_or_default();
        if told.is_empty() {
            eprintln!("skipped: dpkg is not installed");
            return;
        }
        let pairs = all
            .iter()
            .flat_map(|one| all.iter().map(move |other| (*one, *other)));
        for (one, other) in pairs {
            let is_less = told.lines().any(|line| line == format!("{one} {other}"));
            assert_eq!(compare(one, other) == Ordering::Less, is_less, "{one} {other}");
        }
    }
}
