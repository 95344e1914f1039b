//! A raw disk as a stream-optimized VMDK, in one pass.

use std::io::Write;
use std::num::NonZeroUsize;

use super::grain::{self, GRAIN};
use super::header::Header;
use super::level::Level;
use super::marker::Marker;
use super::text::{Adapter, Text};
use super::{CAPACITY_LIMIT, TABLE_ENTRIES, TABLE_SECTORS};
use crate::error::{Error, Kind, Place, Result};
use crate::feed::{Feed, Scan};
use crate::pipeline;
use crate::source::{Progress, SECTOR, Source};

/// How a disk is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How hard grains are compressed.
    pub level: Level,
    /// Threads that compress, at most 16 of them are used. The output does not depend on their number.
    pub threads: NonZeroUsize,
    /// The controller named in the descriptor.
    pub adapter: Adapter,
    /// The descriptor's `CID`. Without one it is derived from `file_name` and the capacity: the same at each build.
    pub content_id: Option<u32>,
    /// The file's own name, as the descriptor repeats it: printable ASCII without quotes, at most 128 characters.
    pub file_name: String,
    /// The descriptor's `virtualHWVersion`.
    pub hardware_version: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            level: Level::Default,
            threads: NonZeroUsize::MIN,
            adapter: Adapter::default(),
            content_id: None,
            file_name: "disk.vmdk".into(),
            hardware_version: 10,
        }
    }
}

impl Options {
    pub(super) fn descriptor(&self, create_type: &'static str, content_id: u32, capacity: u64) -> String {
        let text = Text {
            create_type,
            content_id,
            capacity,
            file_name: &self.file_name,
            adapter: self.adapter,
            hardware_version: self.hardware_version,
        };
        text.to_string()
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The disk's size in bytes, a multiple of 512: `ovf:capacity`.
    pub capacity: u64,
    /// Grains of 64 KiB that hold data.
    pub grains: u64,
    /// Bytes of the disk that hold data, by grains: `ovf:populatedSize`.
    pub populated: u64,
    /// The file's length in bytes.
    pub length: u64,
    /// The descriptor's `CID`.
    pub content_id: u32,
}

/// Writes `source` to `sink`, front to back; memory stays below 64 MiB whatever the disk's size.
///
/// `progress` is called now and then, on the calling thread. A size that is no multiple of 512 is rounded up.
///
/// # Errors
/// [`Kind::Invalid`] for options out of range, [`Kind::Ceiling`] for an empty disk, one above [`CAPACITY_LIMIT`], or a
/// stream above the format's 2 TiB; and whatever reading and writing give.
pub fn write(
    source: &dyn Source,
    sink: &mut dyn Write,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    write_feed(&mut Scan::new(source), sink, options, progress)
}

/// As [`write`], from wherever the data comes.
pub(crate) fn write_feed<'a>(
    feed: &mut dyn Feed<'a>,
    sink: &mut dyn Write,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Written> {
    let mut stream = Output::start(feed.size(), sink, options)?;
    pipeline::run(
        feed,
        GRAIN,
        options.threads.get(),
        &|| Ok(grain::packer(options.level.deflate())),
        &mut |grains| {
            let mut grains = grains.iter();
            grains.try_for_each(|(index, bytes)| stream.grain(*index, bytes))
        },
        progress,
    )?;
    stream.finish()
}

struct Output<'a> {
    sink: &'a mut dyn Write,
    header: Header,
    content_id: u32,
    length: u64,
    grains: u64,
    /// The table being filled: its number, and each grain's sector in the stream.
    table: (usize, [u32; TABLE_ENTRIES]),
    directory: Vec<u32>,
}

impl<'a> Output<'a> {
    fn start(size: u64, sink: &'a mut dyn Write, options: &Options) -> Result<Self> {
        if size == 0 || size > CAPACITY_LIMIT {
            return Err(Error::new(
                Kind::Ceiling,
                Place::Whole,
                "a VMDK holds more than nothing, at most 64 TiB",
            ));
        }
        let capacity = size.div_ceil(SECTOR);
        let header = Header::stream(capacity);
        let content_id = content_id(options, capacity)?;
        let text = options.descriptor("streamOptimized", content_id, capacity);
        let mut head = header.render().to_vec();
        head.extend(text.bytes());
        head.resize(
            usize::try_from(header.overhead * SECTOR).expect("the head is 64 KiB"),
            0,
        );
        let directory = vec![0; header.tables()];
        let table = (0, [0; TABLE_ENTRIES]);
        let mut output = Self {
            sink,
            header,
            content_id,
            length: 0,
            grains: 0,
            table,
            directory,
        };
        output.put(&head)?;
        Ok(output)
    }

    fn grain(&mut self, index: u64, bytes: &[u8]) -> Result<()> {
        let place = |position: u64| usize::try_from(position).expect("a disk's tables are counted in usize");
        let (number, entry) = (
            place(index / TABLE_ENTRIES as u64),
            place(index % TABLE_ENTRIES as u64),
        );
        if number != self.table.0 {
            self.end_table()?;
            self.table.0 = number;
        }
        self.table.1[entry] = self.sector()?;
        self.grains += 1;
        self.put(bytes)
    }

    fn end_table(&mut self) -> Result<()> {
        let entries = std::mem::replace(&mut self.table.1, [0; TABLE_ENTRIES]);
        if entries.iter().all(|&entry| entry == 0) {
            return Ok(());
        }
        self.put(
            &Marker::Table {
                sectors: TABLE_SECTORS,
            }
            .render(),
        )?;
        self.directory[self.table.0] = self.sector()?;
        self.put(&entries.map(u32::to_le_bytes).concat())
    }

    fn finish(mut self) -> Result<Written> {
        self.end_table()?;
        let sectors = self.header.directory_sectors();
        self.put(&Marker::Directory { sectors }.render())?;
        let at = u64::from(self.sector()?);
        let mut directory: Vec<u8> = self
            .directory
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect();
        directory.resize(directory.len().next_multiple_of(512), 0);
        self.put(&directory)?;
        self.put(&Marker::Footer { sectors: 1 }.render())?;
        self.put(
            &Header {
                directory: at,
                ..self.header
            }
            .render(),
        )?;
        self.put(&Marker::End.render())?;
        self.sink
            .flush()
            .map_err(|e| Error::io(Place::Offset(self.length), "write the VMDK", e))?;
        Ok(Written {
            capacity: self.header.capacity_bytes(),
            grains: self.grains,
            populated: (self.grains * GRAIN).min(self.header.capacity_bytes()),
            length: self.length,
            content_id: self.content_id,
        })
    }

    /// The sector of the stream that is written next.
    fn sector(&self) -> Result<u32> {
        u32::try_from(self.length / SECTOR).map_err(|_| {
            Error::new(
                Kind::Ceiling,
                Place::Offset(self.length),
                "a VMDK stream cannot be longer than 2 TiB",
            )
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink
            .write_all(bytes)
            .map_err(|e| Error::io(Place::Offset(self.length), "write the VMDK", e))?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// Checks what goes into the descriptor; all ones and all ones less one mean "no parent" and "not set" to VMware's tools.
pub(super) fn content_id(options: &Options, capacity: u64) -> Result<u32> {
    let legal = |byte: u8| byte == b' ' || (byte.is_ascii_graphic() && byte != b'"');
    let name = options.file_name.as_bytes();
    if name.is_empty() || name.len() > 128 || !name.iter().copied().all(legal) {
        return Err(Error::invalid(
            Place::Whole,
            "a VMDK's file name is 1 to 128 printable ASCII characters without quotes",
        ));
    }
    let mut digest = crc32fast::Hasher::new();
    digest.update(name);
    digest.update(&capacity.to_le_bytes());
    match options.content_id {
        Some(u32::MAX | 0xffff_fffe) => Err(Error::invalid(Place::Whole, "a CID that means `none`")),
        Some(given) => Ok(given),
        None => Ok(digest.finalize() & 0x7fff_ffff),
    }
}
