//! The inside of a start tag: attributes, as strictly as XML 1.0 spells them.

use std::collections::HashSet;
use std::ops::Range;

use super::Attribute;
use super::character::is_qualified_name;
use super::fault::{Fault, limit, malformed};
use crate::error::quoted;

/// Where an attribute's name and value stand in the text.
pub(super) struct Pair {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// Splits what follows a tag's name: white space, name, `=`, quoted value, again and again.
pub(super) fn attributes(text: &str, inner: Range<usize>, ceiling: usize) -> Result<Vec<Pair>, Fault> {
    let bytes = text.as_bytes();
    let mut at = inner.start;
    let mut pairs = Vec::new();
    loop {
        let name_start = skip_space(bytes, at, inner.end);
        if name_start == inner.end {
            return Ok(pairs);
        }
        if name_start == at {
            return Err(malformed(at, "white space must part attributes"));
        }
        let mut name_end = name_start;
        while name_end < inner.end && !matches!(bytes[name_end], b'=' | b' ' | b'\t' | b'\n' | b'\r') {
            name_end += 1;
        }
        let name = text.get(name_start..name_end).unwrap_or_default();
        if !is_qualified_name(name) {
            return Err(malformed(
                name_start,
                format!("{} is not an attribute's name", quoted(name)),
            ));
        }
        let equals = skip_space(bytes, name_end, inner.end);
        if equals == inner.end || bytes[equals] != b'=' {
            return Err(malformed(name_start, format!("attribute {name} has no value")));
        }
        let open = skip_space(bytes, equals + 1, inner.end);
        let quote = bytes[..inner.end]
            .get(open)
            .copied()
            .filter(|byte| matches!(byte, b'"' | b'\''));
        let Some(quote) = quote else {
            return Err(malformed(
                name_start,
                format!("the value of attribute {name} is not in quotes"),
            ));
        };
        let value_end = bytes[open + 1..inner.end].iter().position(|byte| *byte == quote);
        let Some(value_end) = value_end.map(|length| open + 1 + length) else {
            return Err(malformed(
                open,
                format!("the value of attribute {name} has no end"),
            ));
        };
        if pairs.len() == ceiling {
            return Err(limit(name_start, "attributes of one element", ceiling));
        }
        pairs.push(Pair {
            name: name_start..name_end,
            value: open + 1..value_end,
        });
        at = value_end + 1;
    }
}

fn skip_space(bytes: &[u8], mut at: usize, end: usize) -> usize {
    while at < end && matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

pub(super) fn refuse_twins(attributes: &[Attribute]) -> Result<(), Fault> {
    let mut seen = HashSet::with_capacity(attributes.len());
    match attributes
        .iter()
        .find(|it| !seen.insert((it.name.namespace.as_deref(), it.name.local.as_str())))
    {
        None => Ok(()),
        Some(twin) => Err(malformed(
            twin.value_span.start,
            format!("attribute {} stands twice", quoted(&twin.name.local)),
        )),
    }
}
