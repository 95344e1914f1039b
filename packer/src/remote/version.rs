//! Which version of a file a server speaks of.

use ureq::http::HeaderMap;
use ureq::http::header::{ETAG, LAST_MODIFIED};

/// What tells one version of a file from the next (RFC 9110, 8.8), as far as the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Version {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        Self {
            etag: text(ETAG),
            last_modified: text(LAST_MODIFIED),
        }
    }

    /// Whether both may be one version: where both tell the same thing, they tell it alike.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let alike = |one: &Option<String>, other: &Option<String>| match (one, other) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        alike(&self.etag, &other.etag) && alike(&self.last_modified, &other.last_modified)
    }

    /// The value of `If-Range`: a strong tag, or the date where there is no tag. A weak tag may not stand there.
    pub(super) fn if_range(&self) -> Option<&str> {
        match &self.etag {
            Some(etag) if etag.starts_with('"') => Some(etag),
            Some(_) => None,
            None => self.last_modified.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(etag: Option<&str>, last_modified: Option<&str>) -> Version {
        Version {
            etag: etag.map(str::to_owned),
            last_modified: last_modified.map(str::to_owned),
        }
    }

    #[test]
    fn versions_disagree_where_both_tell_and_tell_otherwise() {
        let one = version(Some("\"1\""), Some("Monday"));
        assert!(one.agrees(&one) && one.agrees(&version(None, None)));
        assert!(!one.agrees(&version(Some("\"2\""), Some("Monday"))));
        assert!(!one.agrees(&version(Some("\"1\""), Some("Tuesday"))));
    }

    #[test]
    fn a_weak_tag_is_no_condition_for_a_range() {
        assert_eq!(version(Some("\"1\""), Some("Monday")).if_range(), Some("\"1\""));
        assert_eq!(version(Some("W/\"1\""), Some("Monday")).if_range(), None);
        assert_eq!(version(None, Some("Monday")).if_range(), Some("Monday"));
    }
}
