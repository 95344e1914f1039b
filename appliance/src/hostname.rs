//! A host name that is safe to give to the kernel, a DHCP server and a certificate.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Linux keeps at most this many bytes (`__NEW_UTS_LEN`).
const LONGEST: usize = 64;
const LONGEST_LABEL: usize = 63;

/// A name of letters, digits, `-` and `.` after RFC 1123 section 2.1, at most 64 bytes, labels of 1 to 63.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hostname(String);

impl Hostname {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `vcc-` and the last three bytes of a hardware address, so that clones differ: the name of a machine that was
    /// given none.
    pub fn from_hardware(address: [u8; 6]) -> Self {
        let [.., a, b, c] = address;
        Self(format!("vcc-{a:02x}{b:02x}{c:02x}"))
    }

    /// The name that this machine's kernel has, if it is a proper one.
    pub fn of_this_machine() -> Option<Self> {
        rustix::system::uname().nodename().to_str().ok()?.parse().ok()
    }
}

impl Default for Hostname {
    fn default() -> Self {
        Self("vcc".to_owned())
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Hostname {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST {
            return Err("the host name is longer than 64 characters");
        }
        if !text.split('.').all(is_label) {
            return Err("the host name is not made of letters, digits and inner hyphens between dots");
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Hostname {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Hostname> for String {
    fn from(name: Hostname) -> Self {
        name.0
    }
}

/// Whether it is one part of a name between its dots.
pub(crate) fn is_label(label: &str) -> bool {
    (1..=LONGEST_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proper_names_are_taken_and_others_refused() {
        for name in ["a", "node-1", "node-1.example.com", "1st"] {
            assert!(name.parse::<Hostname>().is_ok(), "{name}");
        }
        let long = "a".repeat(65);
        for name in ["", "-a", "a-", "a..b", "a b", "a\n", "é", "a_b", ".", &long] {
            assert!(name.parse::<Hostname>().is_err(), "{name:?}");
        }
    }
}
