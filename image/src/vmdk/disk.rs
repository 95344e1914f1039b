//! A VMDK read at random, as a raw disk: its extents side by side, over its parent.

use std::ops::Range;

use super::sparse::Sparse;
use super::{Access, Descriptor, Extent, ExtentKind, Header};
use crate::error::{Error, Kind, Place, Result};
use crate::source::{SECTOR, Source, check_range, length};

/// How much of a delta and its parents is looked at together: what lies far off in one is not looked for again each time
/// that the other has something near.
const WINDOW: u64 = 1 << 30;

/// The raw disk inside a VMDK of any kind. Tables are read as they are needed; memory goes to grain directories, at most
/// 32 MiB of tables and a megabyte of grains, for it and for each parent.
///
/// Tables that place many grains at one spot make a small file a large disk: the caller's ceiling on capacity bounds what
/// it costs, and [`Disk::check`] finds it before.
///
/// Unlike [`super::Stream`] it does not prove the whole file sound: [`Disk::check`] proves its structure. Each compressed grain carries its own place on the disk, so tables that let
/// two places share one fail when that is read.
pub struct Disk<S> {
    descriptor: Descriptor,
    pub(super) extents: Vec<Placed<S>>,
    size: u64,
    pub(super) parent: Option<Box<Disk<S>>>,
}

/// An extent at its place on the disk, in bytes.
pub(super) struct Placed<S> {
    pub(super) name: String,
    pub(super) content: Content<S>,
    place: Range<u64>,
}

pub(super) enum Content<S> {
    Sparse(Box<Sparse<S>>),
    /// Bytes as they are, from an offset in bytes.
    Flat(S, u64),
    Zero,
}

impl<S: Source> Disk<S> {
    /// Opens a VMDK that is whole in one file, `monolithicSparse` or `streamOptimized`. What lies in several files,
    /// [`Disk::open_path`] opens.
    ///
    /// # Errors
    /// As [`Header::parse`] and [`Descriptor::parse`]; [`Kind::Ceiling`] above `capacity_limit`
    /// bytes; [`Kind::Unsupported`] for a descriptor or a delta, which need other files; [`Kind::Malformed`] for a
    /// footer of another disk; [`Kind::Overlap`] for tables outside the file or over each other.
    pub fn open(file: S, capacity_limit: u64) -> Result<Self> {
        let mut head = [0; 32];
        let known = length(file.size()).min(head.len());
        file.read_at(0, &mut head[..known])?;
        if Descriptor::begins(&head) {
            let reason = "a VMDK descriptor, whose extents are in other files";
            return Err(Error::new(Kind::Unsupported, Place::Whole, reason));
        }
        let disk = Self::embedded(file, capacity_limit)?;
        match disk.descriptor.parent {
            None => Ok(disk),
            Some(_) => Err(Error::new(
                Kind::Unsupported,
                Place::Offset(SECTOR),
                "a delta disk, which needs its parent",
            )),
        }
    }

    /// What the descriptor says.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The header of the first sparse extent, of which others are much alike; nothing if all are flat.
    pub fn header(&self) -> Option<&Header> {
        self.extents.iter().find_map(|extent| match &extent.content {
            Content::Sparse(sparse) => Some(&sparse.header),
            Content::Flat(..) | Content::Zero => None,
        })
    }

    /// A sparse file with its descriptor inside.
    pub(super) fn embedded(file: S, capacity_limit: u64) -> Result<Self> {
        let sparse = Sparse::open(file, capacity_limit, 1)?;
        let descriptor = sparse.descriptor()?;
        let [Extent { sectors, kind, .. }] = descriptor.extents.as_slice() else {
            return Err(Error::malformed(
                Place::Offset(SECTOR),
                "the descriptor inside a VMDK names more than that file",
            ));
        };
        if !matches!(kind, ExtentKind::Sparse { .. }) {
            return Err(Error::malformed(
                Place::Offset(SECTOR),
                "the descriptor inside a VMDK names another kind of file",
            ));
        }
        check_size(&sparse, *sectors)?;
        let placed = Placed {
            name: String::new(),
            place: 0..sectors * SECTOR,
            content: Content::Sparse(Box::new(sparse)),
        };
        Ok(Self {
            size: placed.place.end,
            descriptor,
            extents: vec![placed],
            parent: None,
        })
    }

    /// A disk whose descriptor is apart; `open` opens an extent's file by its name.
    pub(super) fn assembled(
        descriptor: Descriptor,
        capacity_limit: u64,
        open: &dyn Fn(&str) -> Result<S>,
    ) -> Result<Self> {
        let size = descriptor.capacity();
        if size > capacity_limit {
            let reason = "the VMDK is larger than the disk that was declared";
            return Err(Error::new(Kind::Ceiling, Place::Whole, reason));
        }
        check_shared(&descriptor.extents)?;
        let (mut extents, mut start) = (Vec::new(), 0);
        for extent in &descriptor.extents {
            let (name, content) = content(extent, (capacity_limit, descriptor.extents.len()), open)?;
            let end = start + extent.sectors * SECTOR;
            let place = start..end;
            extents.push(Placed { name, content, place });
            start = end;
        }
        Ok(Self {
            descriptor,
            extents,
            size,
            parent: None,
        })
    }

    /// Lays this delta over its parent, whose `CID` has to be the one that the delta was made for.
    pub(super) fn over(mut self, parent: Self) -> Result<Self> {
        let expected = self.descriptor.parent.as_ref().map(|parent| parent.content_id);
        if expected != Some(parent.descriptor.content_id) {
            return Err(Error::new(
                Kind::Differs,
                Place::Whole,
                "the parent has changed since the delta disk was made: its CID is another",
            ));
        }
        self.parent = Some(Box::new(parent));
        Ok(self)
    }

    /// The first stretch in `range`, which ends within the size, that this disk or a parent stores.
    fn data_in(&self, range: Range<u64>) -> Result<Option<Range<u64>>> {
        let own = self.own_data_in(range.clone())?;
        let Some(parent) = &self.parent else {
            return Ok(own);
        };
        let range = range.start..range.end.min(parent.size);
        let below = if range.is_empty() {
            None
        } else {
            parent.data_in(range)?
        };
        Ok(match (own, below) {
            (Some(own), Some(below)) if below.start < own.start => {
                Some(below.start..below.end.min(own.start))
            }
            (own, below) => own.or(below),
        })
    }

    fn own_data_in(&self, range: Range<u64>) -> Result<Option<Range<u64>>> {
        let first = self
            .extents
            .partition_point(|extent| extent.place.end <= range.start);
        for extent in &self.extents[first..] {
            let base = extent.place.start;
            if base >= range.end {
                break;
            }
            let within = range.start.max(base) - base..range.end.min(extent.place.end) - base;
            if let Some(data) = extent.content.data_in(within)? {
                return Ok(Some(base + data.start..base + data.end));
            }
        }
        Ok(None)
    }
}

impl<S: Source> Source for Disk<S> {
    fn size(&self) -> u64 {
        self.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        let window = if self.parent.is_some() { WINDOW } else { self.size };
        let mut from = from;
        while from < self.size {
            let end = from.saturating_add(window).min(self.size);
            if let Some(data) = self.data_in(from..end)? {
                return Ok(Some(data));
            }
            from = end;
        }
        Ok(None)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        check_range(self.size, offset, buffer.len())?;
        let end = offset + buffer.len() as u64;
        let mut at = offset;
        let mut next = self.extents.partition_point(|extent| extent.place.end <= offset);
        while at < end {
            let extent = &self.extents[next];
            let stop = end.min(extent.place.end);
            let target = &mut buffer[length(at - offset)..length(stop - offset)];
            let base = extent.place.start;
            extent
                .content
                .read_at(at - base, target, &mut |within, target| match &self.parent {
                    Some(parent) => parent.read_up_to_end(base + within, target),
                    None => {
                        target.fill(0);
                        Ok(())
                    }
                })?;
            (at, next) = (stop, next + 1);
        }
        Ok(())
    }

    fn reading_memory(&self) -> u64 {
        let grains = self.extents.iter().map(|extent| match &extent.content {
            Content::Sparse(sparse) if sparse.header.is_stream() => 3 * sparse.grain_bytes(),
            _ => 0,
        });
        let own = grains.max().filter(|&bytes| bytes > 3 * 65_536).unwrap_or(0);
        own.max(self.parent.as_ref().map_or(0, |parent| parent.reading_memory()))
    }

    fn settled(&self) -> Result<()> {
        let mut files = self.extents.iter().filter_map(|extent| match &extent.content {
            Content::Sparse(sparse) => Some(&sparse.file),
            Content::Flat(file, _) => Some(file),
            Content::Zero => None,
        });
        files.try_for_each(Source::settled)?;
        self.parent.as_ref().map_or(Ok(()), |parent| parent.settled())
    }
}

impl<S: Source> Disk<S> {
    /// A parent may be smaller than its delta: zeros follow it.
    fn read_up_to_end(&self, offset: u64, target: &mut [u8]) -> Result<()> {
        let known = length(self.size.saturating_sub(offset)).min(target.len());
        let (head, tail) = target.split_at_mut(known);
        tail.fill(0);
        if head.is_empty() {
            return Ok(());
        }
        self.read_at(offset, head)
    }
}

impl<S: Source> Content<S> {
    fn data_in(&self, range: Range<u64>) -> Result<Option<Range<u64>>> {
        match self {
            Self::Zero => Ok(None),
            Self::Sparse(sparse) => sparse.data_in(range),
            Self::Flat(file, offset) => {
                let data = file.next_data(offset + range.start)?;
                let data = data.map(|data| data.start - offset..(data.end - offset).min(range.end));
                Ok(data.filter(|data| data.start < data.end))
            }
        }
    }

    fn read_at(
        &self,
        offset: u64,
        target: &mut [u8],
        below: &mut dyn FnMut(u64, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Sparse(sparse) => sparse.read_at(offset, target, below),
            Self::Flat(file, start) => file.read_at(start + offset, target),
            Self::Zero => {
                target.fill(0);
                Ok(())
            }
        }
    }
}

fn content<S: Source>(
    extent: &Extent,
    (capacity_limit, extents): (u64, usize),
    open: &dyn Fn(&str) -> Result<S>,
) -> Result<(String, Content<S>)> {
    match &extent.kind {
        _ if extent.access == Access::None => Ok((String::new(), Content::Zero)),
        ExtentKind::Zero => Ok((String::new(), Content::Zero)),
        ExtentKind::Sparse { name } => {
            let opened = Sparse::open(open(name)?, capacity_limit, extents)
                .and_then(|sparse| check_size(&sparse, extent.sectors).map(|()| sparse))
                .map_err(|e| e.at(Place::File(name.clone())))?;
            // Nobody writes those, and each would keep inflated grains.
            if extents > 1 && opened.header.is_stream() {
                let reason = "one of several extents of a VMDK is compressed";
                return Err(Error::new(Kind::Unsupported, Place::File(name.clone()), reason));
            }
            Ok((name.clone(), Content::Sparse(Box::new(opened))))
        }
        ExtentKind::Flat { name, offset } => {
            let file = open(name)?;
            let end = offset
                .checked_add(extent.sectors)
                .and_then(|end| end.checked_mul(SECTOR));
            if end.is_none_or(|end| end > file.size()) {
                let reason = "the VMDK's flat extent is shorter than its descriptor says";
                return Err(Error::new(Kind::Truncated, Place::File(name.clone()), reason));
            }
            Ok((name.clone(), Content::Flat(file, offset * SECTOR)))
        }
    }
}

/// A sparse file is as large as its line says; some writers round its header up to a grain.
fn check_size<S: Source>(sparse: &Sparse<S>, sectors: u64) -> Result<()> {
    let header = &sparse.header;
    if sectors > header.capacity || header.capacity > sectors.next_multiple_of(header.grain_sectors) {
        return Err(Error::malformed(
            Place::Offset(0),
            "a VMDK extent has another size than its descriptor says",
        ));
    }
    Ok(())
}

/// Refuses extents that share bytes of a file.
fn check_shared(extents: &[Extent]) -> Result<()> {
    let mut claims: Vec<(&str, Range<u64>)> = extents
        .iter()
        .filter_map(|extent| match &extent.kind {
            ExtentKind::Zero => None,
            ExtentKind::Sparse { name } => Some((name.as_str(), 0..u64::MAX)),
            ExtentKind::Flat { name, offset } => {
                Some((name.as_str(), *offset..offset.saturating_add(extent.sectors)))
            }
        })
        .collect();
    claims.sort_unstable_by(|a, b| (a.0, a.1.start).cmp(&(b.0, b.1.start)));
    let shared = claims
        .windows(2)
        .find(|pair| pair[0].0 == pair[1].0 && pair[1].1.start < pair[0].1.end);
    match shared {
        None => Ok(()),
        Some(pair) => Err(Error::new(
            Kind::Overlap,
            Place::File(pair[0].0.to_owned()),
            "two extents of the VMDK share bytes of this file",
        )),
    }
}
