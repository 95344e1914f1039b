//! What of a file its owner has already, in other files.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::{Chunk, ChunkDigest, Group, Index, Root};

/// The most chunks that are looked for: 16 bytes of memory for each, 8 MiB together.
const MOST: usize = 1 << 19;
/// The most files that are looked through.
const MOST_CANDIDATES: usize = 64;
/// Bits of a place that say where in a file it is: an index is of 64 TiB at most.
const OFFSET_BITS: u32 = 46;

/// A file that may have some of the bytes of another: an older version of it, best of all.
#[derive(Debug)]
pub struct Candidate {
    /// Its bytes.
    pub blob: File,
    /// Its index.
    pub index: Index,
}

/// Where the groups and chunks of a file are in others. A find is a good guess, by 64 bits of a digest: whoever copies asks
/// [`Known::read`] whether the bytes are those of the chunk.
#[derive(Debug)]
pub struct Known {
    candidates: Vec<Candidate>,
    /// For each group of the file, where the same is.
    groups: Vec<Option<Twin>>,
    /// By the beginning of a chunk's digest, its place; sorted.
    chunks: Vec<(u64, u64)>,
}

/// A group of a candidate.
#[derive(Debug, Clone, Copy)]
struct Twin {
    candidate: usize,
    number: usize,
}

impl Known {
    /// Looks through up to 64 candidates for what a file consists of, the best one first. Those that are cut in another way, by
    /// their size, have nothing; of what the disk damaged nothing is known. It waits for the disk.
    ///
    /// Where there are more chunks than are kept in memory, those of groups that the file doesn't have come first: the others
    /// are found with their group.
    pub fn new(root: &Root, mut candidates: Vec<Candidate>) -> Self {
        candidates.truncate(MOST_CANDIDATES);
        let is_alike = |candidate: &Candidate| candidate.index.root().class() == root.class();
        let mut wanted: Vec<u64> = root.groups().iter().map(|group| key(&group.digest)).collect();
        wanted.sort_unstable();
        let mut shared = Vec::new();
        let mut others = Vec::new();
        for (candidate, found) in candidates.iter().enumerate().filter(|(_, found)| is_alike(found)) {
            for (number, group) in found.index.root().groups().iter().enumerate() {
                let key = key(&group.digest);
                match wanted.binary_search(&key) {
                    Ok(_) => shared.push((key, Twin { candidate, number })),
                    Err(_) => others.push(Twin { candidate, number }),
                }
            }
        }
        drop(wanted);
        // The first candidate's stays the first.
        shared.sort_by_key(|(key, _)| *key);
        let mut known = Self {
            candidates,
            groups: Vec::new(),
            chunks: Vec::new(),
        };
        known.groups = root
            .groups()
            .iter()
            .map(|group| {
                let at = shared.partition_point(|(other, _)| *other < key(&group.digest));
                let (_, twin) = shared.get(at)?;
                (known.named(*twin)?.digest == group.digest).then_some(*twin)
            })
            .collect();
        if known.missing().next().is_some() {
            known.remember(others.into_iter().chain(shared.into_iter().map(|(_, twin)| twin)));
        }
        known
    }

    fn remember(&mut self, groups: impl Iterator<Item = Twin>) {
        let all: u64 = self
            .candidates
            .iter()
            .map(|found| found.index.root().chunks())
            .sum();
        self.chunks
            .reserve_exact(usize::try_from(all).unwrap_or(MOST).min(MOST));
        for twin in groups {
            let room = MOST.saturating_sub(self.chunks.len());
            if room == 0 {
                break;
            }
            let Some((candidate, named)) = self.candidates.get(twin.candidate).zip(self.named(twin)) else {
                continue;
            };
            let Ok(group) = candidate.index.group(twin.number) else {
                continue;
            };
            let mut offset = named.offset;
            for chunk in group.chunks().iter().take(room) {
                let place = (twin.candidate as u64) << OFFSET_BITS | offset;
                self.chunks.push((key(&chunk.digest), place));
                offset += u64::from(chunk.length);
            }
        }
        self.chunks.sort_unstable();
        self.chunks.dedup_by_key(|(key, _)| *key);
    }

    fn named(&self, twin: Twin) -> Option<&super::GroupRef> {
        self.candidates
            .get(twin.candidate)?
            .index
            .root()
            .groups()
            .get(twin.number)
    }

    /// The groups of the file that no candidate has, by their numbers: their encodings have to be fetched.
    pub fn missing(&self) -> impl Iterator<Item = usize> {
        let groups = self.groups.iter().enumerate();
        groups.filter_map(|(number, twin)| twin.is_none().then_some(number))
    }

    /// A group that a candidate has too; nothing for one that is missing, and where the disk damaged it: it is fetched then. It
    /// waits for the disk.
    pub fn group(&self, number: usize) -> Option<Group> {
        let twin = (*self.groups.get(number)?)?;
        self.candidates.get(twin.candidate)?.index.group(twin.number).ok()
    }

    /// In which candidate the same group is, and its offset there.
    pub(super) fn place_of_group(&self, number: usize) -> Option<(usize, u64)> {
        let twin = (*self.groups.get(number)?)?;
        Some((twin.candidate, self.named(twin)?.offset))
    }

    /// In which candidate a chunk may be, and its offset there.
    pub(super) fn place_of(&self, chunk: &Chunk) -> Option<(usize, u64)> {
        let wanted = key(&chunk.digest);
        let at = self.chunks.binary_search_by_key(&wanted, |(key, _)| *key).ok()?;
        let (_, place) = self.chunks.get(at)?;
        let candidate = usize::try_from(place >> OFFSET_BITS).ok()?;
        Some((candidate, place & ((1 << OFFSET_BITS) - 1)))
    }

    /// Reads a chunk out of a candidate into `bytes`, whose contents are replaced, and tells whether it is the one: where it is
    /// not, or can't be read, it has to be fetched. It waits for the disk, and takes as much memory as the chunk is long.
    pub fn read(&self, candidate: usize, from: u64, chunk: &Chunk, bytes: &mut Vec<u8>) -> bool {
        let Some(found) = self.candidates.get(candidate) else {
            return false;
        };
        let Ok(length) = usize::try_from(chunk.length) else {
            return false;
        };
        bytes.resize(length, 0);
        found.blob.read_exact_at(bytes, from).is_ok() && chunk.is(bytes)
    }
}

/// The beginning of a digest.
fn key(digest: &ChunkDigest) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
