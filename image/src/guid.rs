//! GUIDs: of disks, partitions and partition types.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Place, Result};

/// A GUID; its bytes are in the order in which they are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid([u8; 16]);

impl Guid {
    /// The GUID whose textual form shows `bytes` in this order.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The GUID that always follows from `seed`: version 8 (RFC 9562), from its SHA-256.
    pub fn derive(seed: &[u8]) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(seed)[..16]);
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Another GUID that always follows from this one, for the thing called `name`.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self::derive(&[&self.0, name.as_bytes()].concat())
    }

    /// The bytes in textual order.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The bytes as UEFI stores them: the first three groups little-endian.
    pub fn to_disk(self) -> [u8; 16] {
        let mut bytes = self.0;
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{byte:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Guid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::invalid(
                Place::Whole,
                "a GUID is 32 hexadecimal digits in groups of 8-4-4-4-12",
            )
        };
        let groups: Vec<usize> = text.split('-').map(str::len).collect();
        let digits = text.replace('-', "");
        if groups != [8, 4, 4, 4, 12] || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let number = u128::from_str_radix(&digits, 16).map_err(|e| invalid().because(e))?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_survives_and_disk_order_swaps_three_groups() {
        let text = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
        let guid: Guid = text.parse().unwrap();
        assert_eq!(guid.to_string(), text);
        assert_eq!(
            guid.to_disk()[..10],
            [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b]
        );
        for bad in [
            "",
            "C12A7328F81F11D2BA4B00A0C93EC93B",
            "+12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        ] {
            assert!(bad.parse::<Guid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn derived_guids_are_stable_and_differ_by_name() {
        let disk = Guid::derive(b"seed");
        assert_eq!(disk, Guid::derive(b"seed"));
        assert_ne!(disk.child("esp"), disk.child("slot-a"));
        assert_eq!(disk.to_string().as_bytes()[14], b'8');
    }
}
