//! The proof of a VMDK's structure: every table and grain inside its file, and no two in one place.

use std::ops::Range;

use super::disk::Content;
use super::marker::Marker;
use super::sparse::{Sparse, Table, ZEROS};
use super::{Disk, TABLE_ENTRIES, TABLE_SECTORS};
use crate::error::{Error, Kind, Place, Result};
use crate::source::{SECTOR, Source};

/// Findings beyond these tell nothing new.
const FINDINGS: usize = 64;
/// Sectors looked at together: 128 GiB of the file, in a bitmap of 32 MiB.
const WINDOW: u64 = 1 << 28;

impl<S: Source> Disk<S> {
    /// Looks at all directories, tables and markers, of parents too, and tells what is wrong with them; nothing if the
    /// structure is sound. What the grains hold is not read. At most 64 findings are given, 32 MiB of memory used.
    ///
    /// # Errors
    /// Only what the operating system gives: what is wrong with the disk is a finding.
    pub fn check(&self) -> Result<Vec<Error>> {
        let mut findings = Findings(Vec::new());
        let mut disk = Some(self);
        while let Some(layer) = disk {
            for extent in &layer.extents {
                if let Content::Sparse(sparse) = &extent.content {
                    let first = findings.0.len();
                    check_sparse(sparse, &mut findings)?;
                    if !extent.name.is_empty() {
                        let named = |error: Error| error.at(Place::File(extent.name.clone()));
                        let own = findings.0.split_off(first);
                        findings.0.extend(own.into_iter().map(named));
                    }
                }
            }
            disk = layer.parent.as_deref();
        }
        Ok(findings.0)
    }
}

struct Findings(Vec<Error>);

impl Findings {
    fn full(&self) -> bool {
        self.0.len() >= FINDINGS
    }

    fn add(&mut self, kind: Kind, sector: u64, reason: &str) {
        if !self.full() {
            let place = Place::Offset(sector.saturating_mul(SECTOR));
            self.0.push(Error::new(kind, place, reason));
        }
    }

    /// Takes what a damaged disk gives as a finding; the operating system's own errors pass.
    fn take<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == Kind::Io => Err(error),
            Err(error) => {
                if !self.full() {
                    self.0.push(error);
                }
                Ok(None)
            }
        }
    }
}

fn check_sparse<S: Source>(sparse: &Sparse<S>, findings: &mut Findings) -> Result<()> {
    let sectors = sparse.file.size().div_ceil(SECTOR);
    let mut start = 0;
    while start < sectors {
        let window = start..sectors.min(start + WINDOW);
        start = window.end;
        let mut pass = Pass {
            sparse,
            claims: Claims::new(window),
            findings: &mut *findings,
        };
        pass.run()?;
        if findings.full() {
            break;
        }
    }
    Ok(())
}

/// One look at the whole structure, for the part of the file in its window. What needs no window is said in the first.
struct Pass<'a, S> {
    sparse: &'a Sparse<S>,
    claims: Claims,
    findings: &'a mut Findings,
}

impl<S: Source> Pass<'_, S> {
    fn run(&mut self) -> Result<()> {
        let header = &self.sparse.header;
        self.claim(0, 1);
        self.claim(header.descriptor_offset, header.descriptor_sectors);
        self.claim_directory(header.directory);
        if let Some(at) = header.redundant() {
            self.claim_directory(at);
        }
        if self.sparse.footed {
            self.claim((self.sparse.file.size() / SECTOR).saturating_sub(3), 3);
            self.expect_marker(
                header.directory,
                Marker::Directory {
                    sectors: header.directory_sectors(),
                },
            )?;
        }
        for number in 0..self.sparse.directory.len() {
            if self.findings.full() {
                break;
            }
            self.table(number)?;
        }
        Ok(())
    }

    fn table(&mut self, number: usize) -> Result<()> {
        let at = self.sparse.directory[number];
        let copy = self.sparse.redundant.get(number).copied();
        if copy.is_some_and(|copy| (copy > ZEROS) != (at > ZEROS)) && self.first() {
            let place = self.sparse.header.directory;
            let reason = "the VMDK's grain directory and its copy differ";
            self.findings.add(Kind::Malformed, place, reason);
        }
        if at <= ZEROS {
            return Ok(());
        }
        self.claim(u64::from(at), TABLE_SECTORS);
        if let Some(copy) = copy.filter(|&copy| copy > ZEROS && copy != at) {
            self.claim(u64::from(copy), TABLE_SECTORS);
        }
        if self.sparse.footed {
            let sectors = TABLE_SECTORS;
            self.expect_marker(u64::from(at), Marker::Table { sectors })?;
        }
        // What is wrong with a table is said once, by the first pass.
        let table = match (self.sparse.table(number), self.first()) {
            (table, true) => self.findings.take(table)?,
            (table, false) => table.ok(),
        };
        match table.flatten() {
            Some(table) => self.grains(number, &table),
            None => Ok(()),
        }
    }

    fn grains(&mut self, number: usize, table: &Table) -> Result<()> {
        let header = self.sparse.header;
        for (entry, &sector) in (0..).zip(table).filter(|&(_, &sector)| sector > ZEROS) {
            if self.findings.full() {
                break;
            }
            let index = number as u64 * TABLE_ENTRIES as u64 + entry;
            let left = header.capacity.saturating_sub(index * header.grain_sectors);
            let sector = u64::from(sector);
            if left == 0 {
                self.say(Kind::Malformed, sector, "a VMDK grain lies past the disk's end");
            } else if !header.is_stream() {
                // Some writers end the file with the last grain's data.
                self.claim(sector, left.min(header.grain_sectors));
            } else if self.near(sector) {
                self.stream_grain(index, sector)?;
            }
        }
        Ok(())
    }

    /// Whether something of at most two grains at `sector` may touch the window.
    fn near(&self, sector: u64) -> bool {
        let window = &self.claims.window;
        self.first()
            || (sector < window.end && sector + 2 * self.sparse.header.grain_sectors + 1 > window.start)
    }

    fn stream_grain(&mut self, index: u64, sector: u64) -> Result<()> {
        let known = u32::try_from(sector).unwrap_or(u32::MAX);
        let extent = self.sparse.grain_extent(index, known);
        let extent = match self.first() {
            true => self.findings.take(extent)?,
            false => extent.ok(),
        };
        if let Some((sectors, _)) = extent {
            self.claim(sector, sectors);
        }
        Ok(())
    }

    fn claim_directory(&mut self, at: u64) {
        self.claim(at, self.sparse.header.directory_sectors());
    }

    /// Notes that so many sectors from `at` hold something.
    fn claim(&mut self, at: u64, sectors: u64) {
        let end = at.checked_add(sectors);
        let size = self.sparse.file.size();
        if end.is_none_or(|end| end.saturating_mul(SECTOR) > size) {
            self.say(
                Kind::Truncated,
                at,
                "the VMDK ends before what its tables place there",
            );
        } else if !self.claims.set(at..at + sectors) {
            let reason = "two things in the VMDK lie in one place";
            self.findings.add(Kind::Overlap, at, reason);
        }
    }

    /// The marker before something in a stream; it takes the sector before.
    fn expect_marker(&mut self, content: u64, expected: Marker) -> Result<()> {
        let at = content.saturating_sub(1);
        self.claim(at, 1);
        if !self.first() {
            return Ok(());
        }
        let mut sector = [0; 512];
        let read = self.sparse.file.read_at(at * SECTOR, &mut sector);
        let found = read.and_then(|()| Marker::parse(&sector, at * SECTOR));
        if self.findings.take(found)?.is_some_and(|found| found != expected) {
            self.say(
                Kind::Malformed,
                at,
                "a VMDK marker does not announce what follows it",
            );
        }
        Ok(())
    }

    fn say(&mut self, kind: Kind, sector: u64, reason: &str) {
        if self.first() {
            self.findings.add(kind, sector, reason);
        }
    }

    fn first(&self) -> bool {
        self.claims.window.start == 0
    }
}

/// The sectors of one window that are taken.
struct Claims {
    window: Range<u64>,
    bits: Vec<u64>,
}

impl Claims {
    fn new(window: Range<u64>) -> Self {
        let words = usize::try_from((window.end - window.start).div_ceil(64)).unwrap_or(0);
        Self {
            window,
            bits: vec![0; words],
        }
    }

    /// Takes what lies of `sectors` in the window; tells whether all of it was free.
    fn set(&mut self, sectors: Range<u64>) -> bool {
        let start = sectors.start.max(self.window.start);
        let end = sectors.end.min(self.window.end);
        let mut free = true;
        for sector in start..end.max(start) {
            let at = sector - self.window.start;
            let bit = 1u64 << (at % 64);
            let word = &mut self.bits[usize::try_from(at / 64).unwrap_or(0)];
            free &= *word & bit == 0;
            *word |= bit;
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_tell_what_is_taken_in_their_window_only() {
        let mut claims = Claims::new(100..300);
        assert!(claims.set(90..110) && claims.set(110..111) && claims.set(290..400));
        assert!(!claims.set(100..101) && !claims.set(299..300) && claims.set(0..100) && claims.set(300..900));
    }
}
