//! A kernel module's name, normalised.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Place, Result};

/// The kernel's `MODULE_NAME_LEN` on 64-bit machines, its terminating zero byte included.
const LENGTH_LIMIT: usize = 56;

/// A kernel module's name as the kernel spells it: letters, digits and `_`, at most 55 of them.
///
/// File names and dependency lists write `-` and `_` alike, so parsing turns `-` into `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the module in a file such as `kernel/fs/ext4/ext4.ko`, or nothing if the path names no `.ko`.
    pub fn from_path(path: &str) -> Option<Self> {
        let file = path.rsplit('/').next()?;
        file.strip_suffix(".ko")?.parse().ok()
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if text.is_empty() || text.len() >= LENGTH_LIMIT || !text.bytes().all(legal) {
            let shown: String = text.chars().take(LENGTH_LIMIT).collect();
            return Err(Error::invalid(
                Place::Whole,
                format!("{shown:?} is no kernel module name (letters, digits, `_` and `-`, at most 55)"),
            ));
        }
        Ok(Self(text.replace('-', "_")))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_become_underscores() {
        assert_eq!("snd-hda-intel".parse::<Name>().unwrap().as_str(), "snd_hda_intel");
        assert_eq!(
            Name::from_path("kernel/lib/crc-t10dif.ko").unwrap().as_str(),
            "crc_t10dif"
        );
    }

    #[test]
    fn what_could_escape_a_directory_or_a_line_is_no_name() {
        for text in ["", "..", "a/b", "a b", "a\n", "é", &"x".repeat(56)] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
        assert_eq!(Name::from_path("kernel/fs/ext4/Makefile"), None);
    }
}
