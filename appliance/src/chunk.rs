//! Large files in chunks: what of a file somebody has already needn't come again, and each chunk that comes is checked by itself.
//!
//! ```text
//! Root    the file's digest and size, and of each group its digest, bytes and number of chunks     what a node signs
//! Group   of each chunk its digest and length                                                      vouched for by the root
//! ```
//!
//! Chunks end where their contents say ([`Cutter`]), and so do groups: an index changes where the file does, and moves as a
//! delta too. Groups that are known are not fetched ([`Known::missing`]), and of the others, chunks that are known are copied
//! ([`Planner`]).
//!
//! An index is kept beside its blob ([`Index`]), for its owner alone; where there is none it can be made from the blob.
//!
//! # Which digest
//!
//! Chunks and groups are named by BLAKE3, 32 bytes, files by SHA-256 as everywhere. A file that comes is digested twice, as a
//! whole and by chunks, and the second digest is the one to choose. Chunks of 16 KiB go through BLAKE3 twice as fast
//! as through SHA-256 where a processor has SHA instructions; cutting, chunk digest and file digest together then take four
//! fifths of the time. Processors without them, of which clouds have many, are several times slower at SHA-256. That costs 76 KiB of a
//! static program. The crate's assembly is what makes it so, also in a program built for size: its `pure` form saves 24 KiB of
//! them and is a third slower. The one fault of it that is known to have given wrong digests was on Windows, before 1.2.

mod builder;
mod class;
mod cutter;
mod group;
mod kept;
mod known;
mod plan;
mod root;
#[cfg(test)]
mod tests;

pub use builder::Builder;
pub use class::Class;
pub use cutter::{Cutter, VERSION};
pub use group::{Chunk, Group};
pub use kept::{Index, SMALLEST};
pub use known::{Candidate, Known};
pub use plan::{LONGEST_FETCH, Piece, Planner};
pub use root::{GroupRef, LARGEST, MOST_GROUPS, Root};

/// The digest of a chunk, or of a group's encoding: BLAKE3.
pub type ChunkDigest = [u8; 32];

/// The digest of a chunk's bytes, or of a group's encoding.
pub fn digest_of(bytes: &[u8]) -> ChunkDigest {
    *blake3::hash(bytes).as_bytes()
}

/// Bytes without any order, the same ones each time.
#[cfg(test)]
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let word = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (word ^ (word >> 32)).to_be_bytes()
    });
    let mut bytes: Vec<u8> = words.take(length / 8 + 1).flatten().collect();
    bytes.truncate(length);
    bytes
}
