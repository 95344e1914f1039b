//! The proof of a VHD's structure: nothing outside the file, and no two things in one place.

use super::disk::UNUSED;
use super::{Disk, footer, header};
use crate::error::{Error, Kind, Place};
use crate::source::{SECTOR, Source};

/// Findings beyond these tell nothing new.
const FINDINGS: usize = 64;

impl<S: Source> Disk<S> {
    /// Looks at the table and the places of all blocks, and tells what is wrong with them; nothing if the structure is
    /// sound. What the blocks hold is not read. At most 64 findings are given.
    pub fn check(&self) -> Vec<Error> {
        let end = self.end;
        let mut findings = Vec::new();
        let mut add = |kind, at, reason: &str| {
            if findings.len() < FINDINGS {
                findings.push(Error::new(kind, Place::Offset(at), reason));
            }
        };
        let Some(blocks) = &self.blocks else {
            if end != self.footer.size {
                add(
                    Kind::Malformed,
                    self.footer.size,
                    "the VHD has bytes between its disk and its footer",
                );
            }
            return findings;
        };
        let block = blocks.header.bitmap() + blocks.header.block;
        let mut things = vec![
            (0, footer::LENGTH as u64),
            (self.footer.header, header::LENGTH as u64),
            (blocks.header.table, blocks.header.table_length()),
        ];
        let used = blocks.table.iter().filter(|&&sector| sector != UNUSED);
        things.extend(used.map(|&sector| (u64::from(sector) * SECTOR, block)));
        things.sort_unstable();
        let mut taken = 0;
        for (at, length) in things {
            let stop = at.saturating_add(length);
            if stop > end {
                add(
                    Kind::Truncated,
                    at,
                    "the VHD ends before what its tables place there",
                );
            }
            if at < taken {
                add(Kind::Overlap, at, "two things in the VHD lie in one place");
            }
            taken = taken.max(stop);
        }
        findings
    }
}
