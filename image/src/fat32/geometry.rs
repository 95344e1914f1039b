//! Where things lie on a volume of a given size.

use crate::error::{Error, Kind, Place, Result};
use crate::source::SECTOR;

pub(super) const RESERVED: u32 = 32;
pub(super) const FATS: u32 = 2;
/// Below this number of clusters a volume is FAT16, whatever its boot sector says.
const CLUSTERS_LEAST: u32 = 65_525;
const CLUSTERS_MOST: u32 = 0x0fff_fff5;

/// A volume's measures; sectors of 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) sectors: u32,
    pub(super) cluster_sectors: u32,
    pub(super) fat_sectors: u32,
    pub(super) clusters: u32,
}

impl Geometry {
    /// The largest clusters (to 32 KiB) that leave enough of them for FAT32.
    pub(super) fn of(size: u64) -> Result<Self> {
        let refuse = || {
            Error::new(
                Kind::Capacity,
                Place::Whole,
                format!("{size} bytes are no FAT32 volume"),
            )
        };
        let sectors = u32::try_from(size / SECTOR).map_err(|_| refuse())?;
        let fitting = |cluster_sectors| Self::with(sectors, cluster_sectors);
        [64, 32, 16, 8, 4, 2, 1]
            .into_iter()
            .find_map(fitting)
            .ok_or_else(refuse)
    }

    fn with(sectors: u32, cluster_sectors: u32) -> Option<Self> {
        let space = sectors.checked_sub(RESERVED)?;
        // Each sector of a FAT serves 128 clusters, which take their own sectors and one in each FAT. Two more entries
        // are no cluster's.
        let fat_sectors = (space + 2 * cluster_sectors).div_ceil(128 * cluster_sectors + FATS);
        let clusters = space.checked_sub(FATS * fat_sectors)? / cluster_sectors;
        let fits = (CLUSTERS_LEAST..=CLUSTERS_MOST).contains(&clusters) && clusters + 2 <= fat_sectors * 128;
        fits.then_some(Self {
            sectors,
            cluster_sectors,
            fat_sectors,
            clusters,
        })
    }

    pub(super) fn cluster_bytes(&self) -> usize {
        self.cluster_sectors as usize * 512
    }

    /// Where FAT number `copy` begins, in bytes.
    pub(super) fn fat(&self, copy: u32) -> u64 {
        u64::from(RESERVED + copy * self.fat_sectors) * SECTOR
    }

    /// Where a cluster (from 2) begins, in bytes.
    pub(super) fn cluster(&self, number: u32) -> u64 {
        let data = u64::from(RESERVED) + u64::from(FATS) * u64::from(self.fat_sectors);
        (data + u64::from(number - 2) * u64::from(self.cluster_sectors)) * SECTOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_volume_fits_its_size(size in 34u64 << 20..2 << 40) {
            let geometry = Geometry::of(size).unwrap();
            prop_assert!(geometry.cluster(geometry.clusters + 2) <= size);
            prop_assert!(geometry.fat_sectors * 128 >= geometry.clusters + 2);
            prop_assert!(geometry.clusters >= CLUSTERS_LEAST);
        }
    }
}
