//! Entries of L1 and L2 tables.

use super::Header;
use crate::error::{Error, Place, Result};

/// Bits 9 to 55 are a place in the file.
const PLACE: u64 = 0x00ff_ffff_ffff_fe00;
const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;
/// An L2 entry's subclusters, where it has any.
pub(super) const PARTS: u64 = 32;

/// What an L2 entry says about one cluster, or one subcluster, of the disk. Places are byte offsets in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is the backing file's, or zeros.
    Absent,
    /// Zeros, whatever is beneath.
    Zero,
    /// Its bytes are there as they are.
    Plain(u64),
    /// The cluster's bytes are compressed: in so many bytes from there at most.
    Compressed { at: u64, length: usize },
}

impl State {
    /// The same so many bytes further into the (sub)cluster.
    pub(super) fn skip(self, bytes: u64) -> Self {
        match self {
            Self::Plain(place) => Self::Plain(place + bytes),
            other => other,
        }
    }

    /// Whether this state, so many bytes after `first` on the disk, goes on with it: plain data in one piece, or all of a sort.
    pub(super) fn follows(self, first: Self, bytes: u64) -> bool {
        match (first, self) {
            (Self::Plain(first), Self::Plain(place)) => first + bytes == place,
            (first, here) => std::mem::discriminant(&first) == std::mem::discriminant(&here),
        }
    }
}

/// The L2 table that an L1 entry names.
pub(super) fn l2_table(header: &Header, entry: u64) -> Result<Option<u64>> {
    let place = entry & PLACE;
    if entry & !(PLACE | COPIED) != 0 || !place.is_multiple_of(header.cluster()) {
        return Err(Error::malformed(
            Place::Offset(place),
            "a QCOW2 L1 entry with reserved bits or off a cluster's boundary",
        ));
    }
    Ok((place != 0).then_some(place))
}

/// An L2 entry: its number, and its 32 subclusters' marks where tables are extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) marks: u64,
}

impl Entry {
    /// The entry `index` of a run of table numbers.
    pub(super) fn new(header: &Header, numbers: &[u64], index: usize) -> Option<Self> {
        let (number, marks) = if header.extended {
            (*numbers.get(index * 2)?, *numbers.get(index * 2 + 1)?)
        } else {
            (*numbers.get(index)?, 0)
        };
        Some(Self { number, marks })
    }

    /// Whether all of the cluster's parts are alike.
    pub(super) fn is_uniform(self) -> bool {
        let (allocated, zero) = (self.marks & 0xffff_ffff, self.marks >> 32);
        [0, 0xffff_ffff].contains(&allocated) && [0, 0xffff_ffff].contains(&zero)
    }

    /// The state of the cluster's part `part`; 0 where tables are not extended.
    pub(super) fn state(self, header: &Header, part: u64) -> Result<State> {
        if self.number & COMPRESSED != 0 {
            return self.compressed(header);
        }
        let place = self.number & PLACE;
        let zero_bit = if header.version >= 3 && !header.extended {
            ZERO
        } else {
            0
        };
        if self.number & !(PLACE | COPIED | zero_bit) != 0 || !place.is_multiple_of(header.cluster()) {
            return Err(malformed(
                place,
                "a QCOW2 L2 entry with reserved bits or off a cluster's boundary",
            ));
        }
        let (allocated, zero) = if header.extended {
            (self.marks >> part & 1 != 0, self.marks >> (part + PARTS) & 1 != 0)
        } else {
            (self.is_placed(header), self.number & ZERO != 0)
        };
        match (zero, allocated) {
            (true, true) if header.extended => {
                Err(malformed(place, "a QCOW2 subcluster that is both data and zeros"))
            }
            (true, _) => Ok(State::Zero),
            (false, false) => Ok(State::Absent),
            (false, true) if !self.is_placed(header) => {
                Err(malformed(place, "a QCOW2 subcluster of data without a place"))
            }
            (false, true) => Ok(State::Plain(place + part * (header.cluster() / PARTS))),
        }
    }

    /// The whole cluster that the entry keeps in the file, be it read or not.
    pub(super) fn kept(self, header: &Header) -> Option<u64> {
        (self.number & COMPRESSED == 0 && self.is_placed(header)).then_some(self.number & PLACE)
    }

    /// In a data file, the first cluster's place is 0 as well.
    fn is_placed(self, header: &Header) -> bool {
        self.number & PLACE != 0 || (header.data_file.is_some() && self.number & COPIED != 0)
    }

    fn compressed(self, header: &Header) -> Result<State> {
        let bits = 62 - (header.cluster_bits - 8);
        let at = self.number & ((1 << bits) - 1);
        if self.number & COPIED != 0 || self.marks != 0 || header.data_file.is_some() {
            return Err(malformed(
                at,
                "a compressed QCOW2 cluster with marks of a plain one",
            ));
        }
        let sectors = (self.number & !COMPRESSED) >> bits;
        let length = usize::try_from((sectors + 1) * 512 - at % 512).unwrap_or(usize::MAX);
        Ok(State::Compressed { at, length })
    }
}

fn malformed(at: u64, reason: &str) -> Error {
    Error::malformed(Place::Offset(at), reason)
}

/// The L2 entry of a cluster kept as it is.
pub(super) fn plain(at: u64) -> u64 {
    at | COPIED
}

/// The L2 entry of a cluster compressed to `length` bytes; the place may be anywhere.
pub(super) fn compressed(cluster_bits: u32, at: u64, length: u64) -> u64 {
    let sectors = (at + length - 1) / 512 - at / 512;
    COMPRESSED | sectors << (62 - (cluster_bits - 8)) | at
}
