//! A raw disk as a QCOW2 image of version 3, in one pass.

use std::io::{Seek, Write};
use std::num::NonZeroUsize;

use libdeflater::{CompressionLvl, Compressor};
use zstd::bulk::Compressor as Zstd;

use super::output::{CLUSTER, CLUSTER_BITS, Content, Output};
use super::{CAPACITY_LIMIT, Compression, Header};
use crate::error::{Error, Kind, Place, Result};
use crate::pipeline::{self, Packed, Packer};
use crate::source::{Progress, SECTOR, Source};

/// What clusters are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// As they are: what a hypervisor runs from.
    #[default]
    Plain,
    /// Raw deflate at libdeflate's level, 1 (fast) to 12 (small). Its window is of the usual 32 KiB, where QEMU's own
    /// writer keeps to 4 KiB: every reader that inflates a cluster at once takes both.
    Zlib(i32),
    /// Zstandard at a level of 1 to 19. QEMU reads it from version 5.1 on.
    Zstd(i32),
}

/// How an image is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What clusters are written as.
    pub packing: Packing,
    /// Threads that look for zeros and compress, at most 16 of them are used. The output does not depend on their number.
    pub threads: NonZeroUsize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            packing: Packing::Plain,
            threads: NonZeroUsize::MIN,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The disk's size in bytes, a multiple of 512.
    pub capacity: u64,
    /// Clusters of 64 KiB that hold data.
    pub clusters: u64,
    /// The file's length in bytes.
    pub length: u64,
}

/// Writes `source` to `sink`, an empty file, from its start; memory stays below 64 MiB whatever the disk's size.
///
/// Clusters of 64 KiB that hold nothing but zeros are left out. `progress` is called now and then, on the calling thread.
/// A size that is no multiple of 512 is rounded up.
///
/// # Errors
/// [`Kind::Invalid`] for a level out of range, [`Kind::Ceiling`] for a disk above [`CAPACITY_LIMIT`], and whatever reading
/// and writing give.
pub fn write<W: Write + Seek>(
    source: &dyn Source,
    sink: &mut W,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    let compression = check(options.packing)?;
    if source.size() > CAPACITY_LIMIT {
        let reason = "a QCOW2 disk holds at most 64 TiB";
        return Err(Error::new(Kind::Ceiling, Place::Whole, reason));
    }
    let capacity = source.size().next_multiple_of(SECTOR);
    let mut output = Output::start(sink, capacity)?;
    let mut report = Progress {
        done: 0,
        total: source.data_length()?,
    };
    let packer = || packer(options.packing);
    pipeline::run(
        source,
        CLUSTER,
        options.threads.get(),
        &packer,
        &mut |job: Packed<Content>| {
            for (index, content) in &job.blocks {
                output.cluster(*index, content)?;
            }
            // Clusters round stretches of data up.
            report.done = (report.done + job.covered).min(report.total);
            progress(report);
            Ok(())
        },
    )?;
    output.finish(compression)
}

fn check(packing: Packing) -> Result<Compression> {
    let (level, most, compression) = match packing {
        Packing::Plain => return Ok(Compression::Zlib),
        Packing::Zlib(level) => (level, 12, Compression::Zlib),
        Packing::Zstd(level) => (level, 19, Compression::Zstd),
    };
    if !(1..=most).contains(&level) {
        let reason = format!("a compression level is 1 to {most}");
        return Err(Error::invalid(Place::Whole, reason));
    }
    Ok(compression)
}

/// A cluster that doesn't shrink is kept as it is.
fn packer(packing: Packing) -> Result<Packer<Content>> {
    let choose = |packed: Vec<u8>, cluster: &[u8]| match packed.len() {
        1.. if packed.len() < cluster.len() => Content::Compressed(packed),
        _ => Content::Plain(cluster.to_vec()),
    };
    Ok(match packing {
        Packing::Plain => Box::new(|_, cluster| Ok(Content::Plain(cluster.to_vec()))),
        Packing::Zlib(level) => {
            let level = CompressionLvl::new(level)
                .map_err(|e| Error::invalid(Place::Whole, format!("no level of compression: {e:?}")))?;
            let mut compressor = Compressor::new(level);
            Box::new(move |index, cluster| {
                let mut packed = vec![0; compressor.deflate_compress_bound(cluster.len())];
                let length = compressor.deflate_compress(cluster, &mut packed);
                packed.truncate(length.map_err(|e| failed(index).because(e))?);
                Ok(choose(packed, cluster))
            })
        }
        Packing::Zstd(level) => {
            let mut compressor = Zstd::new(level).map_err(|e| Error::io(Place::Whole, "prepare zstd", e))?;
            Box::new(move |index, cluster| {
                let packed = compressor.compress(cluster);
                Ok(choose(packed.map_err(|e| failed(index).because(e))?, cluster))
            })
        }
    })
}

fn failed(index: u64) -> Error {
    let place = Place::Offset(index * CLUSTER);
    Error::new(Kind::Capacity, place, "a cluster could not be compressed")
}

/// The header of a new image; places are filled in by the output.
pub(super) fn header(capacity: u64, compression: Compression) -> Header {
    Header {
        version: 3,
        cluster_bits: CLUSTER_BITS,
        size: capacity,
        l1_entries: 0,
        l1_offset: 0,
        refcount_offset: 0,
        refcount_clusters: 0,
        refcount_order: 4,
        snapshots: 0,
        dirty: false,
        extended: false,
        compression,
        backing: None,
        data_file: None,
        raw_data: false,
        bitmaps: false,
    }
}
