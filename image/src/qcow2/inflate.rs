//! A compressed cluster, inflated.

use libdeflater::Decompressor;
use zstd::bulk::Decompressor as Zstd;
use zstd::zstd_safe::{find_frame_compressed_size, get_error_name};

use super::Compression;
use crate::error::{Error, Place, Result};

/// Inflates `packed`, found at byte `at`, to a whole cluster. Lengths are in sectors: what follows the data is padding or
/// the next cluster's, and is not looked at.
pub(super) fn inflate(compression: Compression, packed: &[u8], cluster: &mut [u8], at: u64) -> Result<()> {
    let length = match compression {
        Compression::Zlib => Decompressor::new()
            .deflate_decompress(packed, cluster)
            .map_err(|e| malformed(at).because(e))?,
        Compression::Zstd => frames(packed, cluster, at)?,
    };
    if length != cluster.len() {
        return Err(Error::malformed(
            Place::Offset(at),
            "a compressed QCOW2 cluster inflates to less than a cluster",
        ));
    }
    Ok(())
}

/// Inflates zstd frames until the cluster is full.
fn frames(mut packed: &[u8], cluster: &mut [u8], at: u64) -> Result<usize> {
    let mut zstd = Zstd::new().map_err(|e| malformed(at).because(e))?;
    let mut done = 0;
    while done < cluster.len() {
        let length = find_frame_compressed_size(packed)
            .map_err(|code| malformed(at).because(std::io::Error::other(get_error_name(code))))?;
        let (frame, rest) = packed.split_at(length.min(packed.len()));
        let written = zstd.decompress_to_buffer(frame, &mut cluster[done..]);
        done += written.map_err(|e| malformed(at).because(e))?;
        packed = rest;
    }
    Ok(done)
}

fn malformed(at: u64) -> Error {
    Error::malformed(
        Place::Offset(at),
        "a compressed QCOW2 cluster does not inflate to a cluster",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_short_clusters_and_noise_are_refused() {
        let pack = |length: usize| zstd::bulk::compress(&vec![7; length], 3).unwrap();
        let mut cluster = vec![0; 65_536];
        inflate(Compression::Zstd, &pack(65_536), &mut cluster, 0).unwrap();
        let padded = [pack(65_536), vec![0; 400]].concat();
        inflate(Compression::Zstd, &padded, &mut cluster, 0).unwrap();
        for packed in [pack(1 << 20), pack(100), vec![9; 500], Vec::new()] {
            for compression in [Compression::Zstd, Compression::Zlib] {
                assert!(inflate(compression, &packed, &mut cluster, 0).is_err());
            }
        }
    }
}
