//! An error while parsing, before its offset is turned into line and column.

use super::character::is_qualified_name;
use crate::error::{Kind, quoted};

/// What is wrong, and at which byte of the text.
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) offset: usize,
    pub(super) reason: String,
}

pub(super) fn malformed(offset: usize, reason: impl Into<String>) -> Fault {
    Fault {
        kind: Kind::XmlMalformed,
        offset,
        reason: reason.into(),
    }
}

pub(super) fn limit(offset: usize, what: &str, ceiling: usize) -> Fault {
    Fault {
        kind: Kind::XmlLimit,
        offset,
        reason: format!("more than {ceiling} {what}"),
    }
}

pub(super) fn entity(offset: usize, name: &str) -> Fault {
    let name = name.trim_start_matches('&');
    match name.split(';').next() {
        Some(known) if is_qualified_name(known) || known.starts_with('#') => Fault {
            kind: Kind::XmlEntity,
            offset,
            reason: format!(
                "reference &{}; is none of the predefined entities and no legal character",
                quoted(known)
            ),
        },
        _ => malformed(offset, "an & begins no reference"),
    }
}
