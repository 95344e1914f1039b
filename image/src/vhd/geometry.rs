//! Cylinders, heads and sectors of a disk.

/// What a VHD's footer tells of the disk's shape. It says less than the size: it rounds down, and ends at 127 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Cylinders.
    pub cylinders: u16,
    /// Heads.
    pub heads: u8,
    /// Sectors of 512 bytes on a track.
    pub sectors: u8,
}

impl Geometry {
    /// The geometry of a disk of so many sectors, by the specification's appendix.
    pub fn of(sectors: u64) -> Self {
        let total = sectors.min(65_535 * 16 * 255);
        let (track, heads) = if total >= 65_535 * 16 * 63 {
            (255, 16)
        } else {
            Self::small(total)
        };
        Self {
            cylinders: u16::try_from(total / track / heads).unwrap_or(u16::MAX),
            heads: u8::try_from(heads).unwrap_or(u8::MAX),
            sectors: u8::try_from(track).unwrap_or(u8::MAX),
        }
    }

    /// Sectors on a track and heads below 31.5 GiB: the fewest of 17, 31 and 63 sectors that do.
    fn small(total: u64) -> (u64, u64) {
        let tracks = total / 17;
        let heads = tracks.div_ceil(1024).max(4);
        if heads <= 16 && tracks < heads * 1024 {
            return (17, heads);
        }
        if total / 31 < 16 * 1024 {
            (31, 16)
        } else {
            (63, 16)
        }
    }

    /// The disk's size as the geometry has it, in sectors.
    pub fn total(self) -> u64 {
        u64::from(self.cylinders) * u64::from(self.heads) * u64::from(self.sectors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn geometries_are_those_of_the_specification() {
        let of = |bytes: u64| {
            let found = Geometry::of(bytes / 512);
            (found.cylinders, found.heads, found.sectors)
        };
        assert_eq!(of(40 << 20), (963, 5, 17));
        assert_eq!(of(64 << 20), (963, 8, 17));
        assert_eq!(of(1 << 30), (2080, 16, 63));
        assert_eq!(of(2 << 40), (65_535, 16, 255));
        assert_eq!(of(0), (0, 4, 17));
    }

    proptest! {
        #[test]
        fn a_geometry_never_says_more_than_the_disk_has(sectors in 0u64..1 << 40) {
            prop_assert!(Geometry::of(sectors).total() <= sectors);
        }
    }
}
