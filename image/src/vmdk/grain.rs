//! A grain as it goes into a stream: marker, zlib data, padding.

use libdeflater::{CompressionLvl, Compressor};

use super::marker::{GRAIN_MARKER_LENGTH, Marker};
use crate::error::{Error, Kind, Place, Result};
use crate::pipeline::{Filled, Packer};
use crate::source::SECTOR;

/// Bytes of a grain.
pub(super) const GRAIN: u64 = 65_536;

/// Grains by their numbers on the disk.
pub(super) type Packed = Vec<(u64, Vec<u8>)>;

/// Compresses grains at a level; what one compresses to depends on nothing but its bytes.
pub(super) fn packer<'p>(level: CompressionLvl) -> Packer<'p, Packed> {
    let mut compressor = Compressor::new(level);
    Box::new(move |job: Filled| {
        let grains = job.blocks();
        grains
            .map(|(index, grain)| Ok((index, compress(&mut compressor, index, grain)?)))
            .collect()
    })
}

fn compress(compressor: &mut Compressor, index: u64, grain: &[u8]) -> Result<Vec<u8>> {
    let bound = compressor.zlib_compress_bound(grain.len());
    let mut packed = vec![0; GRAIN_MARKER_LENGTH + bound];
    let length = compressor
        .zlib_compress(grain, &mut packed[GRAIN_MARKER_LENGTH..])
        .map_err(|e| {
            Error::new(
                Kind::Capacity,
                Place::Offset(index * GRAIN),
                "a grain could not be compressed",
            )
            .because(e)
        })?;
    let marker = Marker::Grain {
        sector: index * (GRAIN / SECTOR),
        length: u32::try_from(length).expect("a compressed grain is below 4 GiB"),
    };
    packed[..GRAIN_MARKER_LENGTH].copy_from_slice(&marker.render()[..GRAIN_MARKER_LENGTH]);
    packed.truncate(GRAIN_MARKER_LENGTH + length);
    packed.resize(packed.len().next_multiple_of(512), 0);
    Ok(packed)
}
