//! A raw disk as a QCOW2 image of version 3, in one pass.

use std::num::NonZeroUsize;

use libdeflater::{CompressionLvl, Compressor};
use zstd::bulk::Compressor as Zstd;

use super::output::{CLUSTER, CLUSTER_BITS, CLUSTER_LENGTH, Content, Output};
use super::{CAPACITY_LIMIT, Compression, Header};
use crate::error::{Error, Kind, Place, Result};
use crate::feed::{Feed, Scan};
use crate::pipeline::{self, Filled, Packer};
use crate::source::{Progress, SECTOR, Sink, Source};

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

/// Writes `source` to `sink`, an empty one; memory stays below 64 MiB whatever the disk's size.
///
/// Clusters of 64 KiB that hold nothing but zeros are left out. `progress` is called now and then, on the calling thread.
/// A size that is no multiple of 512 is rounded up.
///
/// # Errors
/// [`Kind::Invalid`] for a level out of range, [`Kind::Ceiling`] for a disk above [`CAPACITY_LIMIT`], and whatever reading
/// and writing give.
pub fn write(
    source: &dyn Source,
    sink: &dyn Sink,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    write_feed(&mut Scan::new(source), sink, options, progress)
}

/// As [`write`], from wherever the data comes.
pub(crate) fn write_feed<'a>(
    feed: &mut dyn Feed<'a>,
    sink: &dyn Sink,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    let compression = check(options.packing)?;
    if feed.size() > CAPACITY_LIMIT {
        let reason = "a QCOW2 disk holds at most 64 TiB";
        return Err(Error::new(Kind::Ceiling, Place::Whole, reason));
    }
    let mut output = Output::start(sink, feed.size().next_multiple_of(SECTOR))?;
    pipeline::run(
        feed,
        CLUSTER,
        options.threads.get(),
        &|| packer(options.packing),
        &mut |job: Packed| match job {
            Packed::Plain(job) => {
                let mut clusters = job.blocks();
                clusters.try_for_each(|(index, bytes)| output.cluster(index, &Content::Plain(bytes)))
            }
            Packed::Compressed(clusters) => {
                let mut clusters = clusters.iter();
                clusters.try_for_each(|(index, bytes)| match bytes.len() {
                    CLUSTER_LENGTH => output.cluster(*index, &Content::Plain(bytes)),
                    _ => output.cluster(*index, &Content::Compressed(bytes)),
                })
            }
        },
        progress,
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

/// A job's clusters.
enum Packed {
    /// As they are.
    Plain(Filled),
    /// Each by its index; one that didn't shrink is as it was.
    Compressed(Vec<(u64, Vec<u8>)>),
}

fn packer<'p>(packing: Packing) -> Result<Packer<'p, Packed>> {
    Ok(match packing {
        Packing::Plain => Box::new(|job| Ok(Packed::Plain(job))),
        Packing::Zlib(level) => {
            let level = CompressionLvl::new(level)
                .map_err(|e| Error::invalid(Place::Whole, format!("no level of compression: {e:?}")))?;
            let mut compressor = Compressor::new(level);
            each(move |index, cluster| {
                let mut packed = vec![0; compressor.deflate_compress_bound(cluster.len())];
                let length = compressor.deflate_compress(cluster, &mut packed);
                packed.truncate(length.map_err(|e| failed(index).because(e))?);
                Ok(packed)
            })
        }
        Packing::Zstd(level) => {
            let mut compressor = Zstd::new(level).map_err(|e| Error::io(Place::Whole, "prepare zstd", e))?;
            each(move |index, cluster| {
                let packed = compressor.compress(cluster);
                packed.map_err(|e| failed(index).because(e))
            })
        }
    })
}

fn each<'p>(mut compress: impl FnMut(u64, &[u8]) -> Result<Vec<u8>> + 'p) -> Packer<'p, Packed> {
    let mut choose = move |(index, cluster): (u64, &[u8])| {
        let packed = compress(index, cluster)?;
        let shrank = (1..cluster.len()).contains(&packed.len());
        Ok((index, if shrank { packed } else { cluster.to_vec() }))
    };
    Box::new(move |job: Filled| {
        let clusters = job.blocks().map(&mut choose);
        Ok(Packed::Compressed(clusters.collect::<Result<_>>()?))
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
