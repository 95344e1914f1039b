//! A QCOW2 image read at random, as a raw disk.

use std::ops::Range;

use super::Header;
use super::entry::{Entry, PARTS, State, l2_table};
use super::inflate::inflate;
use super::seeker::Seeker;
use crate::cache::Cache;
use crate::error::{Error, Kind, Place, Result};
use crate::source::Source;
use crate::table::Tables;

/// Inflated clusters that are kept, in bytes.
const INFLATED: u64 = 4 << 20;

/// The other disks that an image needs. Whoever opens them decides what may be opened; they are closed with the image.
#[derive(Default)]
pub struct Companions {
    /// The disk beneath, for an image with [`Header::backing`].
    pub backing: Option<Box<dyn Source>>,
    /// The raw file that holds the data, for an image with [`Header::data_file`].
    pub data_file: Option<Box<dyn Source>>,
}

/// The raw disk inside a QCOW2 image.
///
/// Its tables are read by slices, as they are needed; slices and inflated clusters that are kept take 8 MiB at most. While
/// it is opened, the places of all L2 tables are held: 1 MiB for 64 TiB in clusters of 64 KiB, never above 32 MiB. It doesn't
/// prove the whole file sound: that is what [`super::check`] does.
pub struct Disk<S> {
    file: S,
    header: Header,
    companions: Companions,
    tables: Tables,
    inflated: Cache<u64, Box<[u8]>>,
    beneath: Seeker,
}

impl<S: Source> Disk<S> {
    /// Reads the header and L1 table of the image whose bytes `file` gives.
    ///
    /// # Errors
    /// As [`Header::read`]; [`Kind::Ceiling`] above `capacity_limit` bytes; [`Kind::Invalid`] where the image needs a
    /// companion that isn't given, or is given one that it doesn't name; [`Kind::Overlap`] for L2 tables outside the file
    /// or over each other.
    pub fn open(file: S, capacity_limit: u64, companions: Companions) -> Result<Self> {
        let header = Header::read(&file)?;
        if header.size > capacity_limit {
            let reason = "the QCOW2 is larger than the disk that was declared";
            return Err(Error::new(Kind::Ceiling, Place::Offset(24), reason));
        }
        let needs = |needed: bool, given: bool, what: &str| match (needed, given) {
            (true, false) => Err(Error::invalid(
                Place::Whole,
                format!("the QCOW2 needs its {what}"),
            )),
            (false, true) => Err(Error::invalid(Place::Whole, format!("the QCOW2 names no {what}"))),
            _ => Ok(()),
        };
        needs(
            header.backing.is_some(),
            companions.backing.is_some(),
            "backing file",
        )?;
        needs(
            header.data_file.is_some(),
            companions.data_file.is_some(),
            "data file",
        )?;
        let kept = usize::try_from(INFLATED >> header.cluster_bits).unwrap_or(1);
        let disk = Self {
            file,
            header,
            companions,
            tables: Tables::new(u64::from_be_bytes),
            inflated: Cache::new(kept.min(1024)),
            beneath: Seeker::default(),
        };
        disk.check_tables()?;
        Ok(disk)
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Sees that no two parts of the disk share an L2 table: walking all of them is as much work as the file is long.
    fn check_tables(&self) -> Result<()> {
        let (header, entries) = (&self.header, u64::from(self.header.l1_entries));
        let (mut places, mut first) = (Vec::new(), 0);
        while first < entries {
            let run = self
                .tables
                .numbers(&self.file, header.l1_offset, entries, first)?;
            for &entry in run.iter() {
                places.extend(l2_table(header, entry)?);
            }
            first += run.len() as u64;
        }
        places.sort_unstable();
        let over = places.windows(2).any(|pair| pair[0] == pair[1]);
        let past = places
            .last()
            .is_some_and(|last| last + header.cluster() > self.file.size());
        if over || past {
            return Err(Error::new(
                Kind::Overlap,
                Place::Offset(header.l1_offset),
                "QCOW2 L2 tables lie over each other or outside the file",
            ));
        }
        Ok(())
    }

    /// What is at byte `at` of the disk (a plain place is that very byte's), and the end of the stretch of that sort, which
    /// is in one piece in the file. It is not looked for beyond `until`.
    fn stretch(&self, at: u64, until: u64) -> Result<(State, u64)> {
        let header = &self.header;
        let coverage = header.coverage();
        let first = at / coverage;
        let entries = u64::from(header.l1_entries);
        let level_1 = self
            .tables
            .numbers(&self.file, header.l1_offset, entries, first)?;
        let Some(table) = l2_table(header, level_1[0])? else {
            let most = usize::try_from((until - 1) / coverage - first + 1).unwrap_or(usize::MAX);
            let empty = level_1.iter().take(most).take_while(|&&entry| entry == 0);
            let end = (first + (empty.count() as u64).max(1)) * coverage;
            return Ok((State::Absent, end.min(header.size)));
        };
        let width = if header.extended { 2 } else { 1 };
        let index = at / header.cluster() % header.l2_entries();
        let numbers = header.l2_entries() * width;
        let level_2 = self.tables.numbers(&self.file, table, numbers, index * width)?;
        let (state, end) = self.run(&level_2, at, until)?;
        Ok((state, end.min(header.size)))
    }

    /// As [`Self::stretch`], within the run of an L2 table that begins with the cluster of byte `at`.
    fn run(&self, numbers: &[u64], at: u64, until: u64) -> Result<(State, u64)> {
        let (header, cluster) = (&self.header, self.header.cluster());
        let Some(entry) = Entry::new(header, numbers, 0) else {
            return Err(Error::malformed(Place::Whole, "a QCOW2 table of no length"));
        };
        let base = at - at % cluster;
        if !entry.is_uniform() {
            let length = cluster / PARTS;
            let part = at % cluster / length;
            let state = entry.state(header, part)?.skip(at % length);
            return Ok((state, base + (part + 1) * length));
        }
        let state = entry.state(header, 0)?;
        let alike = |index: &usize| {
            let next = Entry::new(header, numbers, *index).filter(|next| next.is_uniform());
            let next = next.and_then(|next| next.state(header, 0).ok());
            next.is_some_and(|next| next.follows(state, *index as u64 * cluster))
        };
        let most = usize::try_from((until - 1 - base) / cluster + 1).unwrap_or(usize::MAX);
        let more = (1..most).take_while(alike).count() as u64;
        Ok((state.skip(at % cluster), base + (1 + more) * cluster))
    }

    /// Fills `target`, which lies within a stretch of one state, or within one compressed cluster.
    fn read_part(&self, state: State, at: u64, target: &mut [u8]) -> Result<()> {
        let cluster = self.header.cluster();
        match state {
            State::Zero => target.fill(0),
            State::Absent => self.read_beneath(at, target)?,
            State::Plain(place) => self.holder().read_at(place, target)?,
            State::Compressed { at: place, length } => {
                if target.len() as u64 == cluster {
                    return self.inflate(place, length, target);
                }
                let whole = self.inflated.get(place, || {
                    let mut whole = vec![0; small(cluster)].into_boxed_slice();
                    self.inflate(place, length, &mut whole)?;
                    Ok(whole)
                })?;
                let skip = small(at % cluster);
                target.copy_from_slice(&whole[skip..skip + target.len()]);
            }
        }
        Ok(())
    }

    /// The file that plain clusters are in.
    fn holder(&self) -> &dyn Source {
        match &self.companions.data_file {
            Some(data) => data.as_ref(),
            None => &self.file,
        }
    }

    /// The first part of `length` bytes at `place` that is no hole of the file: space set aside and never written is one.
    fn written(&self, place: u64, length: u64) -> Result<Option<Range<u64>>> {
        let (holder, end) = (self.holder(), place + length);
        // What the file has lost is no hole: reading it fails.
        if end > holder.size() {
            return Ok(Some(0..length));
        }
        let data = holder.next_data(place)?.filter(|data| data.start < end);
        Ok(data.map(|data| data.start - place..data.end.min(end) - place))
    }

    /// The disk beneath may be the shorter one.
    fn read_beneath(&self, at: u64, target: &mut [u8]) -> Result<()> {
        let backing = self.companions.backing.as_ref();
        let known = backing.map_or(0, |backing| small(backing.size().saturating_sub(at)));
        let (known, past) = target.split_at_mut(known.min(target.len()));
        past.fill(0);
        match backing {
            Some(backing) if !known.is_empty() => backing.read_at(at, known),
            _ => Ok(()),
        }
    }

    fn inflate(&self, place: u64, length: usize, cluster: &mut [u8]) -> Result<()> {
        // The last compressed cluster may end with the file, short of a sector.
        let length = small(self.file.size().saturating_sub(place)).min(length);
        let mut packed = vec![0; length];
        self.file.read_at(place, &mut packed)?;
        inflate(self.header.compression, &packed, cluster, place)
    }
}

impl<S: Source> Source for Disk<S> {
    fn size(&self) -> u64 {
        self.header.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        let mut at = from;
        while at < self.header.size {
            let (state, end) = self.stretch(at, self.header.size)?;
            match (state, &self.companions.backing) {
                (State::Compressed { .. }, _) => return Ok(Some(at..end)),
                (State::Plain(place), _) => {
                    if let Some(data) = self.written(place, end - at)? {
                        return Ok(Some(at + data.start..at + data.end));
                    }
                }
                (State::Absent, Some(backing)) => {
                    let data = self.beneath.next_data(backing.as_ref(), at)?;
                    if let Some(data) = data.filter(|data| data.start < end) {
                        return Ok(Some(data.start..data.end.min(end)));
                    }
                }
                _ => {}
            }
            at = end;
        }
        Ok(None)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let until = offset.checked_add(buffer.len() as u64);
        let until = until.filter(|&end| end <= self.header.size).ok_or_else(|| {
            Error::new(
                Kind::Truncated,
                Place::Offset(offset),
                "past the QCOW2's capacity",
            )
        })?;
        let mut at = offset;
        while at < until {
            let (state, mut end) = self.stretch(at, until)?;
            if matches!(state, State::Compressed { .. }) {
                end = end.min(at - at % self.header.cluster() + self.header.cluster());
            }
            end = end.min(until);
            let target = &mut buffer[small(at - offset)..small(end - offset)];
            self.read_part(state, at, target)?;
            at = end;
        }
        Ok(())
    }

    fn reading_memory(&self) -> u64 {
        // A cluster and what it was packed to, where jobs don't ask for whole ones.
        let own = match self.header.cluster() {
            large @ 131_072.. => 3 * large,
            _ => 0,
        };
        let backing = self.companions.backing.as_ref();
        own.max(backing.map_or(0, |backing| backing.reading_memory()))
    }

    fn settled(&self) -> Result<()> {
        self.file.settled()?;
        let others = [&self.companions.backing, &self.companions.data_file];
        others.into_iter().flatten().try_for_each(|other| other.settled())
    }
}

fn small(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
