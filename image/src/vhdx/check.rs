//! Whether a VHDX's structure holds together, proved before its data is trusted.

use super::bat::Block;
use super::layout::Layout;
use super::{CAPACITY_LIMIT, MIB};
use crate::error::{Error, Kind, Place, Result};
use crate::finding::{Findings, Severity};
use crate::source::Source;

/// A file that claims more is refused, whatever its holes: the map of its megabytes takes 16 MiB.
const FILE_LIMIT: u64 = 2 * CAPACITY_LIMIT;

/// Checks the structure of the VHDX whose bytes `file` gives: blocks inside the file and apart from each other and from
/// the regions; [`Disk::open`](super::Disk::open) proves the rest.
///
/// # Errors
/// As [`Disk::open`](super::Disk::open); [`Kind::Ceiling`] for a file of absurd length; and whatever reading gives. What is wrong with blocks
/// is a finding.
pub fn check(file: &dyn Source, capacity_limit: u64) -> Result<Findings> {
    if file.size() > FILE_LIMIT {
        let reason = "the VHDX file is longer than any disk needs";
        return Err(Error::new(Kind::Ceiling, Place::Whole, reason));
    }
    let layout = Layout::read(file, capacity_limit)?;
    let mut map = Map {
        length: file.size(),
        used: vec![0; position(file.size().div_ceil(8 * MIB))],
        findings: Findings::default(),
    };
    map.claim(0, MIB, "the header section");
    for region in &layout.regions.all {
        map.claim(region.start, region.end - region.start, "a region");
    }
    let (metadata, size) = (layout.metadata, file.size());
    for block in 0..metadata.blocks() {
        match layout.block(file, block) {
            Ok(Block::Present(at)) => {
                // Some writers cut the file where the disk's last block ends on the disk.
                let on_disk = metadata.size - block * metadata.block;
                let length = metadata.block.min(size.saturating_sub(at).max(on_disk));
                map.claim(at, length, "a block");
            }
            Ok(Block::Absent) => {}
            Err(e) => map.findings.add(Severity::Error, e.place().clone(), e.reason()),
        }
    }
    Ok(map.findings)
}

/// The file's megabytes, a bit each.
struct Map {
    length: u64,
    used: Vec<u8>,
    findings: Findings,
}

impl Map {
    fn claim(&mut self, at: u64, length: u64, what: &str) {
        let end = at.saturating_add(length);
        if end > self.length {
            return self.findings.error(at, format!("{what} lies outside the file"));
        }
        let mut over = false;
        for megabyte in at / MIB..end.div_ceil(MIB) {
            let (byte, bit) = (&mut self.used[position(megabyte / 8)], 1 << (megabyte % 8));
            over |= *byte & bit != 0;
            *byte |= bit;
        }
        if over {
            self.findings
                .error(at, format!("{what} lies over something else"));
        }
    }
}

fn position(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
