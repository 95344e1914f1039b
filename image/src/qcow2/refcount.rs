//! Refcounts: how often each cluster of the file is used.

use super::Header;
use crate::error::{Error, Place, Result};
use crate::source::Source;
use crate::table::Tables;

/// Refcount blocks begin on a cluster's boundary; bits 0 to 8 are reserved.
const RESERVED: u64 = 0x1ff;

/// Clusters that one refcount block counts.
pub(super) fn block_entries(header: &Header) -> u64 {
    (header.cluster() * 8) >> header.refcount_order
}

/// How many refcount blocks the table can name.
pub(super) fn table_entries(header: &Header) -> u64 {
    (u64::from(header.refcount_clusters) << header.cluster_bits) / 8
}

/// Where refcount block `index` is; nothing where the table names none.
pub(super) fn block(header: &Header, tables: &Tables, file: &dyn Source, index: u64) -> Result<Option<u64>> {
    let entries = table_entries(header);
    if index >= entries {
        return Ok(None);
    }
    let place = tables.numbers(file, header.refcount_offset, entries, index)?[0];
    if place & RESERVED != 0 || !place.is_multiple_of(header.cluster()) {
        let reason = "a QCOW2 refcount block with reserved bits or off a cluster's boundary";
        return Err(Error::malformed(Place::Offset(place), reason));
    }
    Ok((place != 0).then_some(place))
}

/// Refcount `index` of a block's bytes. Widths below a byte begin at the lowest bit.
pub(super) fn count(order: u32, block: &[u8], index: usize) -> u64 {
    if order < 3 {
        let per_byte = 8 >> order;
        let byte = block.get(index / per_byte).copied().unwrap_or(0);
        let shift = (index % per_byte) << order;
        return u64::from(byte >> shift) & ((1 << (1 << order)) - 1);
    }
    let width = 1usize << (order - 3);
    let bytes = block.get(index * width..(index + 1) * width).unwrap_or(&[]);
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refcounts_of_every_width_are_found() {
        assert_eq!(
            (0..8).map(|n| count(0, &[0b1010_0001], n)).collect::<Vec<_>>(),
            [1, 0, 0, 0, 0, 1, 0, 1]
        );
        assert_eq!(
            (0..4).map(|n| count(1, &[0b1101_0010], n)).collect::<Vec<_>>(),
            [2, 0, 1, 3]
        );
        assert_eq!((count(2, &[0x21], 0), count(2, &[0x21], 1)), (1, 2));
        assert_eq!((count(3, &[7, 9], 1), count(4, &[0, 1, 1, 0], 1)), (9, 256));
        assert_eq!(count(6, &[0, 0, 0, 0, 0, 0, 1, 2], 0), 258);
        assert_eq!(count(4, &[1], 3), 0);
    }
}
