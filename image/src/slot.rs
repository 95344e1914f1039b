//! The two places that hold a bootable system.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Place, Result};

/// One of the boot disk's two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Filled when the disk is made.
    A,
    /// Empty until the first upgrade.
    B,
}

impl Slot {
    /// `a` or `b`, as on the kernel's command line and in the loader's environment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    /// The slot that an upgrade of this one is written to.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Slot {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "a" => Ok(Self::A),
            "b" => Ok(Self::B),
            _ => Err(Error::invalid(Place::Whole, "a slot is `a` or `b`")),
        }
    }
}
