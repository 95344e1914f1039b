//! Any disk into any format that can be written: allocated extents only, nothing kept between.

use std::fs::File;
use std::io::{BufWriter, Read};
use std::num::NonZeroUsize;

use crate::error::{Error, Place, Result};
use crate::feed::{Feed, Scan};
use crate::source::{EagerFile, Progress, Source, write_raw_feed};
use crate::vmdk::{Grains, Level, Stream};
use crate::{qcow2, vhd, vmdk};

/// What a disk becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The disk's bytes, holes left as holes.
    Raw,
    /// A VMDK that can be read in one pass: the format of OVF packages.
    StreamOptimized,
    /// A VMDK of one file that a hypervisor can run from.
    MonolithicSparse,
    /// QCOW2, clusters as they are.
    Qcow2,
    /// QCOW2, clusters compressed with zlib.
    CompressedQcow2,
    /// A VHD of the disk's bytes and a footer.
    FixedVhd,
    /// A VHD of the blocks that hold data.
    DynamicVhd,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 7] = [
        Self::Raw,
        Self::StreamOptimized,
        Self::MonolithicSparse,
        Self::Qcow2,
        Self::CompressedQcow2,
        Self::FixedVhd,
        Self::DynamicVhd,
    ];

    /// The largest disk that it holds, in bytes.
    pub fn capacity_limit(self) -> u64 {
        match self {
            Self::Raw | Self::StreamOptimized | Self::MonolithicSparse => vmdk::CAPACITY_LIMIT,
            Self::Qcow2 | Self::CompressedQcow2 => qcow2::CAPACITY_LIMIT,
            Self::FixedVhd | Self::DynamicVhd => vhd::CAPACITY_LIMIT,
        }
    }
}

/// How a disk is converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What it becomes.
    pub target: Target,
    /// How hard it is compressed, where it is.
    pub level: Level,
    /// Threads that read, inflate and compress. The output does not depend on their number.
    pub threads: NonZeroUsize,
    /// The file's own name, for formats that repeat it: printable ASCII without quotes.
    pub file_name: String,
}

/// Bytes written at a time where a format is written front to back.
const BUFFER: usize = 1 << 20;

/// Writes `source` into `file`, an empty one; gives the disk's size in bytes, which formats round up.
///
/// # Errors
/// Those of the target's writer: disks that it cannot hold, and whatever reading and writing give.
/// [`Kind::Changed`](crate::error::Kind::Changed) if the source did not stay as it was.
pub fn convert(
    source: &dyn Source,
    file: &File,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64> {
    write(&mut Scan::new(source), file, options, progress)
}

/// Writes the disk inside the streamOptimized VMDK `input` into `file`, an empty one, in one pass: the calling thread reads
/// and proves the stream, others inflate it, and compress it where the target wants that. Gives the disk's size in bytes.
///
/// `capacity_limit` is the largest disk in bytes that the caller expects. Until this has returned without an error, what
/// `file` got is not to be trusted: a stream proves itself sound with its last byte.
///
/// # Errors
/// As [`Stream::open`] and [`Stream::next_grain`], and those of the target's writer.
pub fn extract(input: impl Read, capacity_limit: u64, file: &File, options: &Options) -> Result<u64> {
    let stream = Stream::open(input, capacity_limit)?;
    write(&mut Grains::new(stream), file, options, &mut |_| {})
}

fn write<'a>(
    feed: &mut dyn Feed<'a>,
    file: &File,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<u64> {
    let threads = options.threads;
    let sink = &EagerFile::new(file);
    let stream = vmdk::Options {
        level: options.level,
        threads,
        file_name: options.file_name.clone(),
        ..vmdk::Options::default()
    };
    let clusters = |packing| qcow2::Options { packing, threads };
    let blocks = |form| vhd::Options {
        form,
        threads,
        id: None,
    };
    Ok(match options.target {
        Target::Raw => {
            write_raw_feed(feed, sink, threads, progress)?;
            feed.size()
        }
        Target::StreamOptimized => {
            let mut buffered = BufWriter::with_capacity(BUFFER, EagerFile::new(file));
            let written = vmdk::write_feed(feed, &mut buffered, &stream, progress)?;
            buffered
                .into_inner()
                .map_err(|e| Error::io(Place::Whole, "write", e.into_error()))?;
            written.capacity
        }
        Target::MonolithicSparse => vmdk::write_sparse_feed(feed, sink, &stream, progress)?.capacity,
        Target::Qcow2 => qcow2::write_feed(feed, sink, &clusters(qcow2::Packing::Plain), progress)?.capacity,
        Target::CompressedQcow2 => {
            let packing = qcow2::Packing::Zlib(options.level.number());
            qcow2::write_feed(feed, sink, &clusters(packing), progress)?.capacity
        }
        Target::FixedVhd => vhd::write_feed(feed, sink, &blocks(vhd::Form::Fixed), progress)?.capacity,
        Target::DynamicVhd => vhd::write_feed(feed, sink, &blocks(vhd::Form::Dynamic), progress)?.capacity,
    })
}
