//! What part of a file is asked for (RFC 9110, section 14.2).

use hyper::HeaderMap;
use hyper::header::RANGE;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// Everything: no range was asked for, or none that is understood, or several.
    Whole,
    /// So many bytes, at least one, from `start`.
    Part { start: u64, length: u64 },
    /// Nothing: what was asked for begins behind the end.
    Unsatisfiable,
}

/// The part of a file of `size` bytes that a request asks for.
pub(super) fn asked_for(fields: &HeaderMap, size: u64) -> Range {
    let mut values = fields.get_all(RANGE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().map_or(Range::Whole, |text| parse(text, size)),
        _ => Range::Whole,
    }
}

fn parse(text: &str, size: u64) -> Range {
    let set = match text.split_once('=') {
        Some((unit, set)) if unit.eq_ignore_ascii_case("bytes") => set,
        _ => return Range::Whole,
    };
    let mut specs = set
        .split(',')
        .map(|spec| spec.trim_matches([' ', '\t']))
        .filter(|spec| !spec.is_empty());
    match (specs.next().and_then(|spec| spec.split_once('-')), specs.next()) {
        (Some((first, last)), None) => one(first, last, size).unwrap_or(Range::Whole),
        _ => Range::Whole,
    }
}

/// One range; none where it breaks the rules.
fn one(first: &str, last: &str, size: u64) -> Option<Range> {
    if first.is_empty() {
        return Some(match number(last)?.min(size) {
            // The last bytes of an empty file are all that it has.
            0 if number(last)? > 0 => Range::Whole,
            0 => Range::Unsatisfiable,
            length => Range::Part {
                start: size - length,
                length,
            },
        });
    }
    let start = number(first)?;
    let end = match last {
        "" => u64::MAX,
        last => number(last)?,
    };
    if end < start {
        return None;
    }
    Some(match size.checked_sub(start) {
        None | Some(0) => Range::Unsatisfiable,
        Some(left) => Range::Part {
            start,
            length: (end - start).saturating_add(1).min(left),
        },
    })
}

/// Digits; of a number that is larger than any file, it is known that it is.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes that are sent, by their numbers.
    fn sent(range: Range, size: u64) -> Option<Vec<u64>> {
        match range {
            Range::Whole => Some((0..size).collect()),
            Range::Part { start, length } => Some((start..start + length).collect()),
            Range::Unsatisfiable => None,
        }
    }

    proptest! {
        #[test]
        fn from_a_to_b_are_those_bytes_of_the_file_that_are_there(a in 0_u64..40, b in 0_u64..40, size in 0_u64..30) {
            let range = parse(&format!("bytes={a}-{b}"), size);
            let model: Vec<u64> = (0..size).filter(|byte| (a..=b).contains(byte)).collect();
            match (a > b, model.is_empty()) {
                (true, _) => prop_assert_eq!(range, Range::Whole),
                (false, true) => prop_assert_eq!(range, Range::Unsatisfiable),
                (false, false) => prop_assert_eq!(sent(range, size), Some(model)),
            }
        }

        #[test]
        fn from_a_on_is_the_rest(a in 0_u64..40, size in 0_u64..30) {
            let rest: Vec<u64> = (a..size).collect();
            let expected = (!rest.is_empty()).then_some(rest);
            prop_assert_eq!(sent(parse(&format!("bytes={a}-"), size), size), expected);
        }

        #[test]
        fn the_last_n_are_at_most_the_whole(n in 0_u64..40, size in 0_u64..30) {
            let expected = (n > 0).then(|| (size.saturating_sub(n)..size).collect());
            prop_assert_eq!(sent(parse(&format!("bytes=-{n}"), size), size), expected);
        }

        #[test]
        fn no_text_asks_for_a_part_outside_the_file(text in "(bytes=)?[-0-9, =a]{0,44}", size in any::<u64>()) {
            if let Range::Part { start, length } = parse(&text, size) {
                prop_assert!(length > 0 && start.checked_add(length).is_some_and(|end| end <= size));
            }
        }
    }

    #[test]
    fn numbers_beyond_every_file_and_odd_forms() {
        const MANY: &str = "99999999999999999999999999";
        let part = |start, length| Range::Part { start, length };
        for (text, expected) in [
            (format!("bytes=3-{MANY}"), part(3, 7)),
            (format!("bytes={MANY}-"), Range::Unsatisfiable),
            (format!("bytes=-{MANY}"), part(0, 10)),
            ("BYTES= 1-2 ,".to_owned(), part(1, 2)),
            ("bytes=0-0".to_owned(), part(0, 1)),
            ("bytes=-0".to_owned(), Range::Unsatisfiable),
            ("bytes=-".to_owned(), Range::Whole),
            ("bytes=+1-2".to_owned(), Range::Whole),
            ("bytes=1-2-3".to_owned(), Range::Whole),
            ("bytes=".to_owned(), Range::Whole),
            ("bytes 1-2".to_owned(), Range::Whole),
            ("bytes=0-0,0-0,0-0".to_owned(), Range::Whole),
        ] {
            assert_eq!(parse(&text, 10), expected, "{text}");
        }
        assert_eq!(
            parse(&format!("bytes=0-{}", u64::MAX), u64::MAX),
            part(0, u64::MAX)
        );
    }

    #[test]
    fn a_field_that_comes_twice_asks_for_nothing() {
        let mut fields = HeaderMap::new();
        fields.append(RANGE, "bytes=0-1".parse().unwrap());
        assert_eq!(asked_for(&fields, 10), Range::Part { start: 0, length: 2 });
        fields.append(RANGE, "bytes=0-1".parse().unwrap());
        assert_eq!(asked_for(&fields, 10), Range::Whole);
    }
}
