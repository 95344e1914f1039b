//! How hard a stream is compressed.

use std::str::FromStr;

use libdeflater::CompressionLvl;

use crate::error::{Error, Place, Result};

/// How hard grains are compressed. The same level always gives the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Least time: about half of zlib's level 1, and smaller.
    Fast,
    /// A third of the time of zlib's level 6, and smaller.
    #[default]
    Default,
    /// Smallest for a quarter of the time of zlib's level 9.
    Small,
}

impl Level {
    /// All levels, in the order of the time they take.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Default, Self::Small];

    /// The level's name: `fast`, `default` or `small`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Default => "default",
            Self::Small => "small",
        }
    }

    /// libdeflate's number for it, 1 to 12.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Fast => 1,
            Self::Default => 6,
            Self::Small => 8,
        }
    }

    pub(super) fn deflate(self) -> CompressionLvl {
        CompressionLvl::new(self.number()).expect("libdeflate has levels 1 to 12")
    }
}

impl FromStr for Level {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == name)
            .ok_or_else(|| {
                Error::invalid(
                    Place::Whole,
                    "a compression level is `fast`, `default` or `small`",
                )
            })
    }
}
