//! Where each byte of a file comes from: out of another file, or over the network.

use super::{Chunk, Group, Known, Root};

/// The most bytes that are fetched at once: 4 MiB, as many as the longest chunk has.
pub const LONGEST_FETCH: u64 = 4 << 20;

/// A part of a file, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A chunk that another file may have: [`Known::read`] tells.
    Copy {
        /// Where it goes in the file, in bytes.
        offset: u64,
        /// In which of the candidates it is.
        candidate: usize,
        /// Where it is there, in bytes.
        from: u64,
        /// Which it is.
        chunk: Chunk,
    },
    /// Chunks, one directly after the other, that nobody here has.
    Fetch {
        /// Where they begin in the file, in bytes.
        offset: u64,
        /// Bytes of all of them, up to [`LONGEST_FETCH`].
        length: u64,
        /// Which they are.
        chunks: Vec<Chunk>,
    },
}

impl Piece {
    /// The same part, fetched: for a copy that turned out to be another chunk.
    #[must_use]
    pub fn fetched(self) -> Self {
        match self {
            Self::Copy { offset, chunk, .. } => Self::Fetch {
                offset,
                length: u64::from(chunk.length),
                chunks: vec![chunk],
            },
            fetch @ Self::Fetch { .. } => fetch,
        }
    }
}

/// Makes pieces of groups, which come one after the other; some may be left out. Every byte of those that come is in one piece,
/// in the order of the file.
#[derive(Debug, Default)]
pub struct Planner {
    /// What is to be fetched, and may still become more.
    pending: Option<Piece>,
}

impl Planner {
    /// Before the first group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next group that is to be had, of this number in the file's root; pieces that are complete go to `pieces`, up to
    /// one more than the group has chunks.
    pub fn add(&mut self, known: &Known, root: &Root, number: usize, group: &Group, pieces: &mut Vec<Piece>) {
        let Some(named) = root.groups().get(number) else {
            return;
        };
        let twin = known.place_of_group(number);
        let mut offset = named.offset;
        for chunk in group.chunks() {
            let place = match twin {
                Some((candidate, start)) => Some((candidate, start + (offset - named.offset))),
                None => known.place_of(chunk),
            };
            match place {
                Some((candidate, from)) => {
                    pieces.extend(self.pending.take());
                    pieces.push(Piece::Copy {
                        offset,
                        candidate,
                        from,
                        chunk: *chunk,
                    });
                }
                None => self.fetch(offset, *chunk, pieces),
            }
            offset += u64::from(chunk.length);
        }
    }

    fn fetch(&mut self, at: u64, chunk: Chunk, pieces: &mut Vec<Piece>) {
        if let Some(Piece::Fetch {
            offset,
            length,
            chunks,
        }) = &mut self.pending
        {
            let longer = *length + u64::from(chunk.length);
            if *offset + *length == at && longer <= LONGEST_FETCH {
                *length = longer;
                chunks.push(chunk);
                return;
            }
        }
        pieces.extend(self.pending.replace(Piece::Fetch {
            offset: at,
            length: u64::from(chunk.length),
            chunks: vec![chunk],
        }));
    }

    /// After the last group: the piece that is left.
    pub fn finish(self) -> Option<Piece> {
        self.pending
    }
}
