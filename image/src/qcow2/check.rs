//! Whether an image's structure holds together, proved before its data is trusted.
//!
//! The file's clusters are looked at in windows of a bounded number: each pass walks all tables and marks what they use
//! within the window. The first passes walk the tables' own clusters alone. Only where all of those lie apart and inside
//! the file are the L2 tables read, so no arrangement of a small file makes the walk long.

use std::ops::Range;

use super::entry::{Entry, PARTS, State, l2_table};
use super::refcount::{block, block_entries, count, table_entries};
use super::{CAPACITY_LIMIT, Header};
use crate::error::{Error, Kind, Place, Result};
use crate::finding::{Findings, Severity};
use crate::source::Source;
use crate::table::Tables;

/// Clusters looked at in one pass, a byte of memory each.
const WINDOW: u64 = 16 << 20;
/// A file that claims more is refused, whatever its holes: its passes would have no end.
const FILE_LIMIT: u64 = 2 * CAPACITY_LIMIT;

/// How a cluster of the file is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Nothing,
    Alone,
    /// By compressed clusters, which share.
    Packed,
}

/// Checks the structure of the QCOW2 image whose bytes `file` gives: tables and clusters inside the file, on their
/// boundaries and apart from each other, and a refcount for all that is used. Backing and data files aren't looked at.
///
/// # Errors
/// As [`Header::read`]; [`Kind::Ceiling`] for a disk above `capacity_limit` bytes or a file of absurd length; and
/// whatever reading gives. What is wrong beyond the header is a finding.
pub fn check(file: &dyn Source, capacity_limit: u64) -> Result<Findings> {
    let header = Header::read(file)?;
    let ceiling = |reason: &str| Err(Error::new(Kind::Ceiling, Place::Whole, reason));
    if header.size > capacity_limit {
        return ceiling("the QCOW2 is larger than the disk that was declared");
    }
    if file.size() > FILE_LIMIT {
        return ceiling("the QCOW2 file is longer than any disk needs");
    }
    let mut walk = Walk {
        file,
        header: &header,
        tables: Tables::new(u64::from_be_bytes),
        window: 0..0,
        uses: Vec::new(),
        findings: Findings::default(),
    };
    walk.notes();
    walk.passes(false)?;
    if walk.findings.is_sound() {
        walk.passes(true)?;
    }
    Ok(walk.findings)
}

struct Walk<'a> {
    file: &'a dyn Source,
    header: &'a Header,
    tables: Tables,
    /// The clusters of this pass, and how each is used.
    window: Range<u64>,
    uses: Vec<Use>,
    findings: Findings,
}

impl Walk<'_> {
    fn notes(&mut self) {
        let mut note = |reason: &str| self.findings.add(Severity::Note, Place::Whole, reason);
        if self.header.dirty {
            note("the image was not closed in order: refcounts are not looked at");
        }
        if self.header.snapshots > 0 {
            note("snapshots inside the image are not looked at");
        }
        if self.header.data_file.is_some() {
            note("the data file is not looked at");
        }
    }

    fn passes(&mut self, with_data: bool) -> Result<()> {
        let clusters = self.clusters();
        let mut start = 0;
        while start < clusters {
            self.window = start..clusters.min(start + WINDOW);
            self.uses.clear();
            self.uses.resize(small(self.window.end - start), Use::Nothing);
            self.metadata()?;
            if with_data {
                self.data()?;
                if !self.header.dirty {
                    self.refcounts()?;
                }
            }
            start = self.window.end;
        }
        Ok(())
    }

    /// The file's clusters, as far as its refcounts reach: with small clusters a file of holes could have passes without end.
    fn clusters(&self) -> u64 {
        let counted = table_entries(self.header).saturating_mul(block_entries(self.header));
        self.file.size().div_ceil(self.header.cluster()).min(counted)
    }

    /// The clusters of header, tables and refcount blocks.
    fn metadata(&mut self) -> Result<()> {
        let (header, cluster) = (self.header, self.header.cluster());
        self.claim(0, cluster, Use::Alone, "the header");
        let l1_length = u64::from(header.l1_entries) * 8;
        let refcount_length = u64::from(header.refcount_clusters) * cluster;
        self.claim(header.l1_offset, l1_length, Use::Alone, "the L1 table");
        self.claim(
            header.refcount_offset,
            refcount_length,
            Use::Alone,
            "the refcount table",
        );
        self.each_number(header.l1_offset, header.l1_entries.into(), |walk, _, entry| {
            match l2_table(header, entry) {
                Ok(Some(table)) => walk.claim(table, cluster, Use::Alone, "an L2 table"),
                Ok(None) => {}
                Err(e) => walk.note_error(&e),
            }
            Ok(())
        })?;
        self.each_number(header.refcount_offset, table_entries(header), |walk, index, _| {
            match block(header, &walk.tables, walk.file, index) {
                Ok(Some(at)) => walk.claim(at, cluster, Use::Alone, "a refcount block"),
                Ok(None) => {}
                Err(e) => walk.note_error(&e),
            }
            Ok(())
        })
    }

    /// The clusters that L2 tables name.
    fn data(&mut self) -> Result<()> {
        let header = self.header;
        self.each_number(
            header.l1_offset,
            header.l1_entries.into(),
            |walk, _, entry| match l2_table(header, entry)? {
                Some(table) => walk.table(table),
                None => Ok(()),
            },
        )
    }

    fn table(&mut self, table: u64) -> Result<()> {
        let header = self.header;
        let width = if header.extended { 2 } else { 1 };
        let numbers = header.l2_entries() * width;
        let mut first = 0;
        while let Some(at) = self.next_number(table, numbers, first)? {
            let run = self.tables.numbers(self.file, table, numbers, at - at % width)?;
            first = at - at % width + run.len() as u64;
            for index in 0..run.len() / small(width) {
                let Some(entry) = Entry::new(header, &run, index) else {
                    break;
                };
                if entry.number | entry.marks != 0 {
                    self.entry(entry);
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: Entry) {
        let header = self.header;
        let parts = if header.extended { PARTS } else { 1 };
        let part_length = header.cluster() / parts;
        // Of a cluster kept for zeros, or for parts to come, the file may lack what was never written.
        let mut written = 1;
        for part in 0..parts {
            match entry.state(header, part) {
                Ok(State::Compressed { at, length }) => {
                    // The last one may end with the file, short of a sector.
                    let length = self.file.size().saturating_sub(at).min(length as u64).max(1);
                    return self.claim(at, length, Use::Packed, "a compressed cluster");
                }
                Ok(State::Plain(_)) => written = (part + 1) * part_length,
                Ok(_) => {}
                Err(e) => return self.note_error(&e),
            }
        }
        if header.data_file.is_none()
            && let Some(at) = entry.kept(header)
        {
            self.claim(at, written, Use::Alone, "a cluster");
        }
    }

    /// Compares the window's uses with the refcounts.
    fn refcounts(&mut self) -> Result<()> {
        let (header, entries) = (self.header, block_entries(self.header));
        let leaks_count = header.snapshots == 0 && !header.bitmaps;
        let mut bytes = vec![0; small(header.cluster())];
        let mut leaks = (0u64, 0);
        let mut at = self.window.start;
        while at < self.window.end {
            let end = self.window.end.min((at / entries + 1) * entries);
            match block(header, &self.tables, self.file, at / entries)? {
                Some(place) => self.file.read_at(place, &mut bytes)?,
                None => bytes.fill(0),
            }
            for cluster in at..end {
                let refcount = count(header.refcount_order, &bytes, small(cluster % entries));
                match (self.uses[small(cluster - self.window.start)], refcount) {
                    (Use::Nothing, 1..) => {
                        leaks = (leaks.0 + 1, if leaks.0 == 0 { cluster } else { leaks.1 })
                    }
                    (Use::Alone | Use::Packed, 0) => {
                        let reason = "a cluster that is used has a refcount of 0";
                        self.findings.error(cluster * header.cluster(), reason);
                    }
                    _ => {}
                }
            }
            at = end;
        }
        if leaks_count && leaks.0 > 0 {
            let reason = format!(
                "{} clusters from here on are counted and used by nothing",
                leaks.0
            );
            let place = Place::Offset(leaks.1 * header.cluster());
            self.findings.add(Severity::Leak, place, reason);
        }
        Ok(())
    }

    /// Calls `act` with each number of a table that isn't zero, if the table is inside the file.
    fn each_number(
        &mut self,
        table: u64,
        count: u64,
        mut act: impl FnMut(&mut Self, u64, u64) -> Result<()>,
    ) -> Result<()> {
        if table
            .checked_add(count * 8)
            .is_none_or(|end| end > self.file.size())
        {
            return Ok(());
        }
        let mut first = 0;
        while let Some(at) = self.next_number(table, count, first)? {
            let run = self.tables.numbers(self.file, table, count, at)?;
            for (index, &number) in (at..).zip(run.iter()).filter(|(_, number)| **number != 0) {
                act(self, index, number)?;
            }
            first = at + run.len() as u64;
        }
        Ok(())
    }

    /// The first number from `first` on that isn't in a hole of the file.
    fn next_number(&self, table: u64, count: u64, first: u64) -> Result<Option<u64>> {
        if first >= count {
            return Ok(None);
        }
        let data = self.file.next_data(table + first * 8)?;
        let index = data.map(|data| data.start.saturating_sub(table) / 8);
        Ok(index.map(|index| index.max(first)).filter(|&index| index < count))
    }

    /// Marks what `length` bytes at byte `at` of the file touch.
    fn claim(&mut self, at: u64, length: u64, usage: Use, what: &str) {
        let cluster = self.header.cluster();
        let (first, end) = (at / cluster, at.saturating_add(length).div_ceil(cluster));
        let cut = usage == Use::Alone && at.saturating_add(length) > self.file.size();
        if end > self.clusters() || cut {
            // Told once, in the first pass.
            if self.window.start == 0 {
                let reason = format!("{what} is outside the file, or beyond its refcounts");
                self.findings.error(at, reason);
            }
            return;
        }
        for index in first.max(self.window.start)..end.min(self.window.end) {
            let found = &mut self.uses[small(index - self.window.start)];
            if *found != Use::Nothing && (*found, usage) != (Use::Packed, Use::Packed) {
                self.findings
                    .error(at, format!("{what} lies over something else"));
            }
            *found = usage;
        }
    }

    /// Told once, in the first pass.
    fn note_error(&mut self, error: &Error) {
        if self.window.start == 0 {
            self.findings
                .add(Severity::Error, error.place().clone(), error.reason());
        }
    }
}

fn small(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
