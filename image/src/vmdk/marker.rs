//! Markers: the sector that tells what follows it in a stream.

use super::header::LENGTH as SECTOR_LENGTH;
use crate::error::{Error, Kind, Place, Result};
use crate::field::{put, u32_le, u64_le};

/// A grain's data begins right after its marker's two fields.
pub(super) const GRAIN_MARKER_LENGTH: usize = 12;

/// What a marker announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// A compressed grain: its first sector on the disk, and its zlib data's length in bytes.
    Grain { sector: u64, length: u32 },
    /// A grain table of so many sectors.
    Table { sectors: u64 },
    /// The grain directory of so many sectors.
    Directory { sectors: u64 },
    /// The header's copy.
    Footer { sectors: u64 },
    /// Nothing more.
    End,
}

impl Marker {
    /// Reads the sector found at byte `at` of the stream.
    pub(super) fn parse(sector: &[u8; SECTOR_LENGTH], at: u64) -> Result<Self> {
        let (value, length) = (u64_le(sector, 0), u32_le(sector, 8));
        if length != 0 {
            return Ok(Self::Grain {
                sector: value,
                length,
            });
        }
        if sector[16..].iter().any(|&byte| byte != 0) {
            return Err(Error::malformed(
                Place::Offset(at),
                "a VMDK marker with bytes after its fields",
            ));
        }
        match u32_le(sector, 12) {
            0 if value == 0 => Ok(Self::End),
            1 => Ok(Self::Table { sectors: value }),
            2 => Ok(Self::Directory { sectors: value }),
            3 => Ok(Self::Footer { sectors: value }),
            kind => Err(Error::new(
                Kind::Malformed,
                Place::Offset(at),
                format!("an unknown VMDK marker, type {kind}"),
            )),
        }
    }

    /// The marker's sector; of a grain, its first twelve bytes count.
    pub(super) fn render(self) -> [u8; SECTOR_LENGTH] {
        let (value, length, kind) = match self {
            Self::Grain { sector, length } => (sector, length, 0u32),
            Self::Table { sectors } => (sectors, 0, 1),
            Self::Directory { sectors } => (sectors, 0, 2),
            Self::Footer { sectors } => (sectors, 0, 3),
            Self::End => (0, 0, 0),
        };
        let mut sector = [0; SECTOR_LENGTH];
        put(&mut sector, 0, &value.to_le_bytes());
        put(&mut sector, 8, &length.to_le_bytes());
        put(&mut sector, 12, &kind.to_le_bytes());
        sector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_survive_the_round_trip_and_others_are_refused() {
        let all = [
            Marker::Grain {
                sector: 128,
                length: 77,
            },
            Marker::Table { sectors: 4 },
            Marker::Directory { sectors: 1 },
            Marker::Footer { sectors: 1 },
            Marker::End,
        ];
        for marker in all {
            assert_eq!(Marker::parse(&marker.render(), 0).unwrap(), marker);
        }
        let mut unknown = Marker::End.render();
        unknown[12] = 4;
        assert_eq!(
            Marker::parse(&unknown, 512).unwrap_err().place(),
            &Place::Offset(512)
        );
        let mut smuggling = Marker::End.render();
        smuggling[500] = 1;
        assert!(Marker::parse(&smuggling, 0).is_err());
    }
}
