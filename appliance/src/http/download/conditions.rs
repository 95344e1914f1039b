//! Whether a client has the file already, or means another one (RFC 9110, section 13).
//!
//! There is no date of the last change, so conditions with dates don't hold, or are ignored, as the RFC says for each.

use hyper::HeaderMap;
use hyper::header::{GetAll, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE};

/// What the conditions of a request come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The file is to be sent.
    GoOn,
    /// The client has it.
    NotModified,
    /// The client means another one.
    Failed,
}

/// Judges the conditions about a file of this entity tag.
pub fn judge(fields: &HeaderMap, tag: &str) -> Verdict {
    if fields.contains_key(IF_MATCH) && !matches(fields.get_all(IF_MATCH), tag, Weak::Differ) {
        return Verdict::Failed;
    }
    match matches(fields.get_all(IF_NONE_MATCH), tag, Weak::Match) {
        true => Verdict::NotModified,
        false => Verdict::GoOn,
    }
}

/// Whether a range is still one of the same file.
pub(super) fn range_holds(fields: &HeaderMap, tag: &str) -> bool {
    let mut values = fields.get_all(IF_RANGE).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) => value.as_bytes() == tag.as_bytes(),
        (Some(_), Some(_)) => false,
    }
}

/// What a weak tag of the same text does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weak {
    Match,
    Differ,
}

fn matches(values: GetAll<'_, HeaderValue>, tag: &str, weak: Weak) -> bool {
    values.iter().any(|value| match value.to_str() {
        Ok("*") => true,
        Ok(list) => has(list, tag, weak),
        Err(_) => false,
    })
}

/// Whether a list of entity tags has this one. What breaks the list's form ends it.
fn has(mut list: &str, tag: &str, weak: Weak) -> bool {
    loop {
        list = list.trim_start_matches([' ', '\t', ',']);
        let (is_weak, rest) = match list.strip_prefix("W/") {
            Some(rest) => (true, rest),
            None => (false, list),
        };
        let Some(end) = rest.strip_prefix('"').and_then(|inner| inner.find('"')) else {
            return false;
        };
        // Both quotes are one byte long.
        let (own, after) = rest.split_at(end + 2);
        if own == tag && (!is_weak || weak == Weak::Match) {
            return true;
        }
        list = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_whatever_is_beside_it() {
        for (list, expected) in [
            ("\"a\"", true),
            ("\"b\", \"a\"", true),
            ("\"b,\",,\t\"a\"", true),
            ("\"x\"a\"\"", false),
            ("a", false),
            ("\"b", false),
            ("\"b\" nonsense \"a\"", false),
            ("", false),
        ] {
            assert_eq!(has(list, "\"a\"", Weak::Differ), expected, "{list}");
        }
        assert!(has("\"b\",W/\"a\"", "\"a\"", Weak::Match));
        assert!(!has("\"b\",W/\"a\"", "\"a\"", Weak::Differ));
    }

    proptest! {
        #[test]
        fn no_list_makes_it_panic(list in "[\"W/, aé]{0,24}") {
            let _ = has(&list, "\"a\"", Weak::Match);
        }

        #[test]
        fn a_list_has_the_tags_that_were_put_in(
            tags in prop::collection::vec("[a-c, /]{0,3}", 1..6),
            wanted in "[a-c, /]{0,3}",
        ) {
            let list = tags.iter().map(|tag| format!("\"{tag}\"")).collect::<Vec<_>>().join(" ,");
            prop_assert_eq!(has(&list, &format!("\"{wanted}\""), Weak::Differ), tags.contains(&wanted));
        }
    }
}
