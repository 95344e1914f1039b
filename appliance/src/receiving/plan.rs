//! Which parts of a file come from where: by its index, and by what the tenant has.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::assembly::Work;
use super::fault::{Fault, ended};
use super::queue::{Part, Queue};
use super::source::GROUPS;
use super::worker::Shared;
use crate::blob::{Blobs, Owner};
use crate::chunk::{Candidate, Group, Index, Known, LONGEST_FETCH, Piece, Planner, Root};
use crate::client::Client;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::transfer::{OfferedFile, Refusal};

/// The index of a file that comes.
#[derive(Debug)]
pub(super) struct Indexed {
    pub(super) root: Arc<Root>,
    pub(super) known: Arc<Known>,
}

impl Indexed {
    /// Looks through files of the owner for what is in one that comes.
    pub(super) async fn look(
        root: Root,
        blobs: &Arc<Blobs>,
        owner: Owner,
        candidates: Vec<Digest>,
    ) -> Result<Self> {
        let blobs = Arc::clone(blobs);
        let look = move || {
            let open = |digest: &Digest| {
                let index = Index::open(&blobs, &owner, digest).ok()??;
                let (blob, _) = blobs.open_blob(&owner, digest).ok()?;
                Some(Candidate { blob, index })
            };
            let found = candidates.iter().filter_map(open).collect();
            let known = Known::new(&root, found);
            Self {
                root: Arc::new(root),
                known: Arc::new(known),
            }
        };
        spawn_blocking(look).await.map_err(ended)
    }

    /// The number of the group in which a byte is.
    fn group_of(&self, offset: u64) -> usize {
        let groups = self.root.groups();
        groups
            .partition_point(|group| group.offset <= offset)
            .saturating_sub(1)
    }

    /// Plans everything from a byte on at which a chunk begins.
    ///
    /// # Errors
    /// What the source sends is no index; it can't be reached.
    pub(super) async fn plan(
        &self,
        from: u64,
        shared: &Shared,
        file: &OfferedFile,
        queue: &Queue,
        works: &mpsc::Sender<Work>,
        client: &mut Option<Client>,
    ) -> Result<(), Fault> {
        let mut planner = Planner::new();
        let first = self.group_of(from);
        let mut fetched: VecDeque<(usize, Group)> = VecDeque::new();
        for number in first..self.root.groups().len() {
            let known = Arc::clone(&self.known);
            let own = spawn_blocking(move || known.group(number)).await.map_err(ended)?;
            let group = match own {
                Some(group) => group,
                None => {
                    if fetched.front().is_none_or(|(have, _)| *have != number) {
                        let many = (self.root.groups().len() - number).min(GROUPS);
                        fetched = self.fetch(shared, file, number, many, client).await?;
                    }
                    match fetched.pop_front() {
                        Some((_, group)) => group,
                        None => {
                            let refusal = Refusal::new("source.index", "the source sends no groups");
                            return Err(refusal.of_file(&file.name).into());
                        }
                    }
                }
            };
            fetched.retain(|(have, _)| *have > number);
            let mut pieces = Vec::new();
            planner.add(&self.known, &self.root, number, &group, &mut pieces);
            for piece in pieces {
                if !hand_out(piece, from, queue, works).await {
                    return Ok(());
                }
            }
        }
        if let Some(piece) = planner.finish() {
            hand_out(piece, from, queue, works).await;
        }
        queue.is_planned();
        Ok(())
    }

    /// Groups that nobody here has, as many as follow each other.
    async fn fetch(
        &self,
        shared: &Shared,
        file: &OfferedFile,
        number: usize,
        many: usize,
        client: &mut Option<Client>,
    ) -> Result<VecDeque<(usize, Group)>, Fault> {
        let missing: Vec<usize> = self
            .known
            .missing()
            .skip_while(|have| *have < number)
            .take(many)
            .collect();
        let together = missing
            .iter()
            .zip(number..)
            .take_while(|(have, wanted)| **have == *wanted)
            .count();
        // A group that a candidate has and the disk damaged isn't among the missing.
        let many = together.max(1);
        let own = match client {
            Some(own) => own,
            None => client.insert(shared.source.connect().await?),
        };
        let bytes = shared.source.groups(own, file, number, many).await?;
        shared
            .counts
            .wire
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let mut groups = VecDeque::new();
        let mut rest = bytes.as_ref();
        for number in number..number + many {
            let wrong = |error: Error| Refusal::new("source.index", error.chain()).of_file(&file.name);
            let named = self.root.groups().get(number).map_or(0, |group| group.encoded());
            let short = || {
                let reason = "the source sends fewer groups than were asked for";
                Refusal::new("source.index", reason).of_file(&file.name)
            };
            let (own, others) = rest.split_at_checked(named).ok_or_else(short)?;
            groups.push_back((number, self.root.group(number, own).map_err(wrong)?));
            rest = others;
        }
        Ok(groups)
    }
}

/// Hands out a piece, as far as it isn't there already; false where nobody wants it any more.
async fn hand_out(piece: Piece, from: u64, queue: &Queue, works: &mpsc::Sender<Work>) -> bool {
    match piece {
        Piece::Copy {
            offset,
            candidate,
            from: place,
            chunk,
        } if offset >= from => {
            let work = Work::Copy {
                offset,
                candidate,
                from: place,
                chunk,
            };
            // It may turn out to be another, and then it has to be fetched.
            queue.begin();
            works.send(work).await.is_ok()
        }
        piece => {
            for part in parts(piece, from) {
                if !queue.push(part).await {
                    return false;
                }
            }
            true
        }
    }
}

/// What is to be fetched of a piece, from a byte on: of a chunk in whose midst that is the rest, which can't be checked by itself.
fn parts(piece: Piece, from: u64) -> Vec<Part> {
    let (mut offset, chunks) = match piece.fetched() {
        Piece::Fetch { offset, chunks, .. } => (offset, chunks),
        Piece::Copy { .. } => return Vec::new(),
    };
    let mut parts = Vec::new();
    let mut whole = Part {
        offset: 0,
        length: 0,
        chunks: Vec::new(),
        was_wrong: false,
    };
    for chunk in chunks {
        let end = offset + u64::from(chunk.length);
        if offset >= from {
            if whole.chunks.is_empty() {
                whole.offset = offset;
            }
            whole.length += u64::from(chunk.length);
            whole.chunks.push(chunk);
        } else if end > from {
            parts.push(Part {
                offset: from,
                length: end - from,
                chunks: Vec::new(),
                was_wrong: false,
            });
        }
        offset = end;
    }
    if !whole.chunks.is_empty() {
        parts.push(whole);
    }
    parts
}

/// Plans a file that has no index.
pub(super) async fn plan_blindly(from: u64, bytes: u64, queue: &Queue) {
    let mut offset = from;
    while offset < bytes {
        let length = (bytes - offset).min(LONGEST_FETCH);
        let part = Part {
            offset,
            length,
            chunks: Vec::new(),
            was_wrong: false,
        };
        if !queue.push(part).await {
            return;
        }
        offset += length;
    }
    queue.is_planned();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Chunk;

    fn fetch(offset: u64, lengths: &[u32]) -> Piece {
        let chunks = lengths.iter().map(|length| Chunk {
            digest: [0; 32],
            length: *length,
        });
        Piece::Fetch {
            offset,
            length: lengths.iter().copied().map(u64::from).sum(),
            chunks: chunks.collect(),
        }
    }

    #[test]
    fn what_is_there_is_not_fetched_again_wherever_it_ends() {
        let told = |from: u64| {
            let parts = parts(fetch(100, &[10, 20, 30]), from);
            let part = |part: Part| (part.offset, part.length, part.chunks.len());
            parts.into_iter().map(part).collect::<Vec<_>>()
        };
        assert_eq!(told(0), [(100, 60, 3)]);
        assert_eq!(told(100), [(100, 60, 3)]);
        assert_eq!(told(110), [(110, 50, 2)]);
        assert_eq!(told(115), [(115, 15, 0), (130, 30, 1)]);
        assert_eq!(told(159), [(159, 1, 0)]);
        assert_eq!(told(160), []);
    }
}
