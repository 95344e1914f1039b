//! The file that the writer makes.
//!
//! ```text
//! header            written last
//! clusters          as they come; compressed ones are packed together, an L2 table after the last of each 512 MiB
//! refcount blocks   each where its 2 GiB of the file end
//! L1 table, refcount table, the last refcount blocks
//! ```
//!
//! Memory goes to one L2 table, one refcount block, and eight bytes for each one written.

use super::entry::{compressed, plain};
use super::writer::{Written, header};
use super::{Compression, Header};
use crate::error::Result;
use crate::source::Sink;

pub(super) const CLUSTER_BITS: u32 = 16;
pub(super) const CLUSTER: u64 = 1 << CLUSTER_BITS;
pub(super) const CLUSTER_LENGTH: usize = 1 << CLUSTER_BITS;
const L2_ENTRIES: u64 = CLUSTER / 8;
/// Refcounts of 16 bits in a block.
const BLOCK_LENGTH: usize = CLUSTER_LENGTH / 2;

/// What a cluster is written as.
pub(super) enum Content<'c> {
    /// Its bytes.
    Plain(&'c [u8]),
    /// Fewer bytes that inflate to them; at least one.
    Compressed(&'c [u8]),
}

pub(super) struct Output<'a> {
    sink: &'a dyn Sink,
    /// The first byte that nothing uses yet, on a cluster's boundary.
    end: u64,
    /// What is left of the cluster that compressed ones are packed into.
    room: std::ops::Range<u64>,
    capacity: u64,
    clusters: u64,
    /// The L2 table being filled, and its number.
    l2: (usize, Vec<u64>),
    l1: Vec<u64>,
    /// The refcounts of the file's clusters that no block has been written for.
    refcounts: Vec<u16>,
    /// Where the refcount blocks that are written are.
    blocks: Vec<u64>,
}

impl<'a> Output<'a> {
    pub(super) fn start(sink: &'a dyn Sink, capacity: u64) -> Result<Self> {
        let tables = small(capacity.div_ceil(CLUSTER * L2_ENTRIES));
        let mut output = Self {
            sink,
            end: 0,
            room: 0..0,
            capacity,
            clusters: 0,
            l2: (0, vec![0; small(L2_ENTRIES)]),
            // A disk of no size has a table nonetheless: its place must be somewhere.
            l1: vec![0; tables.max(1)],
            refcounts: Vec::new(),
            blocks: Vec::new(),
        };
        output.place(&vec![0; CLUSTER_LENGTH])?;
        Ok(output)
    }

    /// Takes cluster `index` of the disk; clusters come in order.
    pub(super) fn cluster(&mut self, index: u64, content: &Content<'_>) -> Result<()> {
        let number = small(index / L2_ENTRIES);
        if number != self.l2.0 {
            self.end_l2()?;
            self.l2.0 = number;
        }
        let entry = match content {
            Content::Plain(bytes) => plain(self.place(bytes)?),
            Content::Compressed(bytes) => {
                let at = self.pack(bytes)?;
                compressed(CLUSTER_BITS, at, bytes.len() as u64)
            }
        };
        self.l2.1[small(index % L2_ENTRIES)] = entry;
        self.clusters += 1;
        self.end_blocks()
    }

    /// Writes the tables that are left, and the header.
    pub(super) fn finish(mut self, compression: Compression) -> Result<Written> {
        self.end_l2()?;
        let l1: Vec<u8> = self.l1.iter().flat_map(|entry| entry.to_be_bytes()).collect();
        let l1_offset = self.place(&l1)?;
        let (table, left) = self.refcount_clusters();
        let refcount_offset = self.finish_refcounts(table, left)?;
        let header = Header {
            l1_entries: u32::try_from(self.l1.len()).expect("64 TiB have 131,072 L2 tables"),
            l1_offset,
            refcount_offset,
            refcount_clusters: u32::try_from(table).expect("a refcount table has few clusters"),
            ..header(self.capacity, compression)
        };
        let length = self.end;
        self.write(0, &header.render())?;
        Ok(Written {
            capacity: self.capacity,
            clusters: self.clusters,
            length,
        })
    }

    /// How many clusters the refcount table and the blocks that are left need: they count themselves, too.
    fn refcount_clusters(&self) -> (u64, u64) {
        let (mut table, mut left) = (1, 1);
        loop {
            let counts = self.refcounts.len() as u64 + table + left;
            let blocks = counts.div_ceil(BLOCK_LENGTH as u64);
            let tables = ((self.blocks.len() as u64 + blocks) * 8).div_ceil(CLUSTER);
            if blocks <= left && tables <= table {
                return (table, left);
            }
            (table, left) = (tables.max(table), blocks.max(left));
        }
    }

    /// Writes `left` refcount blocks and then the table of `table` clusters; where that is.
    fn finish_refcounts(&mut self, table: u64, left: u64) -> Result<u64> {
        let first = self.take(left + table);
        for block in 0..left {
            self.end_block(first + block * CLUSTER)?;
        }
        let mut entries: Vec<u8> = self.blocks.iter().flat_map(|at| at.to_be_bytes()).collect();
        entries.resize(small(table) * CLUSTER_LENGTH, 0);
        let at = first + left * CLUSTER;
        self.write(at, &entries)?;
        Ok(at)
    }

    /// Writes the L2 table being filled, if it names anything, and begins an empty one.
    fn end_l2(&mut self) -> Result<()> {
        if self.l2.1.iter().any(|&entry| entry != 0) {
            let bytes: Vec<u8> = self.l2.1.iter().flat_map(|entry| entry.to_be_bytes()).collect();
            self.l1[self.l2.0] = plain(self.place(&bytes)?);
            self.l2.1.fill(0);
        }
        Ok(())
    }

    /// Writes bytes into clusters of their own; where they are.
    fn place(&mut self, bytes: &[u8]) -> Result<u64> {
        let at = self.take((bytes.len() as u64).div_ceil(CLUSTER));
        self.write(at, bytes)?;
        let padding = bytes.len().next_multiple_of(CLUSTER_LENGTH) - bytes.len();
        if padding > 0 {
            self.write(at + bytes.len() as u64, &vec![0; padding])?;
        }
        Ok(at)
    }

    /// Writes bytes after other packed ones; where they are.
    fn pack(&mut self, bytes: &[u8]) -> Result<u64> {
        let length = bytes.len() as u64;
        let fits = length <= self.room.end - self.room.start;
        if !fits {
            let at = self.take(1);
            // What is left of the cluster before is used as well where that lies right before.
            let start = if self.room.end == at { self.room.start } else { at };
            self.room = start..at + CLUSTER;
        }
        let at = self.room.start;
        self.room.start += length;
        // A cluster that was just taken is counted already.
        if fits || at / CLUSTER != (self.room.end - 1) / CLUSTER {
            let shared = small(at / CLUSTER - self.counted());
            self.refcounts[shared] += 1;
        }
        self.write(at, bytes)?;
        Ok(at)
    }

    /// Takes so many clusters at the file's end; where they begin.
    fn take(&mut self, clusters: u64) -> u64 {
        let at = self.end;
        self.refcounts.resize(self.refcounts.len() + small(clusters), 1);
        self.end += clusters * CLUSTER;
        at
    }

    /// Writes the refcount blocks whose clusters have all passed. Nothing is packed into those any more.
    fn end_blocks(&mut self) -> Result<()> {
        while self.refcounts.len() > BLOCK_LENGTH {
            let at = self.take(1);
            self.end_block(at)?;
            if self.room.start < self.counted() * CLUSTER {
                self.room = 0..0;
            }
        }
        Ok(())
    }

    /// Writes the first of the refcount blocks that are left to byte `at`.
    fn end_block(&mut self, at: u64) -> Result<()> {
        let counts = self.refcounts.len().min(BLOCK_LENGTH);
        let mut bytes: Vec<u8> = self
            .refcounts
            .drain(..counts)
            .flat_map(u16::to_be_bytes)
            .collect();
        bytes.resize(CLUSTER_LENGTH, 0);
        self.blocks.push(at);
        self.write(at, &bytes)
    }

    /// The first cluster that the blocks to come count.
    fn counted(&self) -> u64 {
        (self.blocks.len() * BLOCK_LENGTH) as u64
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.sink.write_at(at, bytes)
    }
}

/// A number of entries or bytes in a table at hand.
fn small(value: u64) -> usize {
    usize::try_from(value).expect("tables are counted in usize")
}
