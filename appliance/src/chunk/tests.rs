//! Indexes of files, and what they spare.

use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::blob::{Blobs, Owner};
use crate::digest::Digest;
use crate::error::{Error, Kind};

const OWNER: Owner = Owner::Provider;

struct State {
    directory: TempDir,
    blobs: Blobs,
}

impl State {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(directory.path()).unwrap();
        Self { directory, blobs }
    }

    fn adopt(&self, bytes: &[u8]) -> Digest {
        let id = Uuid::new_v4();
        let mut partial = self.blobs.receive(&OWNER, id, bytes.len() as u64).unwrap();
        partial.write(0, bytes).unwrap();
        self.blobs.adopt(&OWNER, partial.seal(None).unwrap()).unwrap()
    }

    fn build(&self, digest: &Digest) -> Index {
        Index::build(&self.blobs, &OWNER, digest, &|| true)
            .unwrap()
            .unwrap()
    }

    fn open(&self, digest: &Digest) -> Option<Index> {
        Index::open(&self.blobs, &OWNER, digest).unwrap()
    }

    fn candidate(&self, bytes: &[u8]) -> Candidate {
        let digest = self.adopt(bytes);
        let index = self.build(&digest);
        let (blob, _) = self.blobs.open_blob(&OWNER, &digest).unwrap();
        Candidate { blob, index }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.path().join(format!("indexes/{OWNER}/{digest}"))
    }

    fn names(&self) -> usize {
        let folder = self.directory.path().join(format!("indexes/{OWNER}"));
        folder.read_dir().map_or(0, Iterator::count)
    }
}

/// A root and its groups' encodings.
fn indexed(bytes: &[u8]) -> (Root, Vec<u8>) {
    let mut builder = Builder::new(bytes.len() as u64, Vec::new()).unwrap();
    for piece in bytes.chunks(100_001) {
        builder.update(piece).unwrap();
    }
    builder.finish(Digest::of(bytes)).unwrap()
}

fn groups(root: &Root, encoded: &[u8]) -> Vec<Group> {
    let mut rest = encoded;
    let groups = root.groups().iter().enumerate().map(|(number, named)| {
        let (bytes, after) = rest.split_at(named.encoded());
        rest = after;
        root.group(number, bytes).unwrap()
    });
    groups.collect()
}

/// A file as its source has it: its index is fetched, and its bytes are.
struct Source<'a> {
    bytes: &'a [u8],
    root: Root,
    groups: Vec<Group>,
    fetched: u64,
    /// Bytes of the root and of groups.
    index: u64,
}

impl<'a> Source<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let (root, encoded) = indexed(bytes);
        Self {
            bytes,
            groups: groups(&root, &encoded),
            fetched: 0,
            index: root.encode().len() as u64,
            root,
        }
    }

    /// Makes the file anew of what is known and what is fetched.
    fn receive(&mut self, known: &Known) -> Vec<u8> {
        let (mut planner, mut pieces) = (Planner::new(), Vec::new());
        let missing: Vec<usize> = known.missing().collect();
        for number in 0..self.root.groups().len() {
            let here = known.group(number);
            assert_eq!(here.is_none(), missing.contains(&number));
            let group = here.unwrap_or_else(|| {
                self.index += self.root.groups()[number].encoded() as u64;
                self.groups[number].clone()
            });
            assert_eq!(group, self.groups[number]);
            planner.add(known, &self.root, number, &group, &mut pieces);
        }
        pieces.extend(planner.finish());
        let (mut file, mut chunk_bytes) = (Vec::new(), Vec::new());
        for piece in pieces {
            let piece = match &piece {
                Piece::Copy {
                    candidate,
                    from,
                    chunk,
                    offset,
                } => {
                    assert_eq!(*offset, file.len() as u64);
                    if known.read(*candidate, *from, chunk, &mut chunk_bytes) {
                        file.extend(&chunk_bytes);
                        continue;
                    }
                    piece.fetched()
                }
                Piece::Fetch { .. } => piece,
            };
            self.fetch(piece, &mut file);
        }
        file
    }

    fn fetch(&mut self, piece: Piece, file: &mut Vec<u8>) {
        let Piece::Fetch {
            offset,
            length,
            chunks,
        } = piece
        else {
            panic!("a copy is not fetched")
        };
        assert_eq!(offset, file.len() as u64);
        assert!(length <= LONGEST_FETCH);
        let sum: u64 = chunks.iter().map(|chunk| u64::from(chunk.length)).sum();
        assert_eq!(length, sum);
        self.fetched += length;
        for chunk in chunks {
            let bytes = &self.bytes[file.len()..file.len() + chunk.length as usize];
            assert!(chunk.is(bytes));
            file.extend(bytes);
        }
    }
}

#[test]
fn an_index_tells_each_chunk_of_a_file() {
    let bytes = noise(1, 3 << 20);
    let (root, encoded) = indexed(&bytes);
    assert_eq!((root.file(), root.size()), (Digest::of(&bytes), 3 << 20));
    let mut at = 0;
    for (group, named) in groups(&root, &encoded).iter().zip(root.groups()) {
        assert_eq!(
            (named.offset, usize::from(named.chunks)),
            (at as u64, group.chunks().len())
        );
        for chunk in group.chunks() {
            let end = at + chunk.length as usize;
            assert!(chunk.is(&bytes[at..end]));
            assert!(!chunk.is(&bytes[at..end - 1]));
            at = end;
        }
    }
    assert_eq!(at, bytes.len());
    assert!(root.groups().len() > 1);
    let (empty, nothing) = indexed(b"");
    assert!(empty.groups().is_empty() && nothing.is_empty());
    assert_eq!(Root::decode(&empty.encode()).unwrap(), empty);
}

#[test]
fn a_group_ends_after_256_chunks_where_none_says_so() {
    // Chunks that are all the same one.
    let bytes = vec![0; 300 * (64 << 10)];
    let (root, encoded) = indexed(&bytes);
    let counts: Vec<u16> = root.groups().iter().map(|group| group.chunks).collect();
    assert_eq!(counts, [256, 44]);
    groups(&root, &encoded);
}

#[test]
fn a_builder_takes_as_many_bytes_as_were_announced() {
    let mut builder = Builder::new(4, Vec::new()).unwrap();
    builder.update(b"abc").unwrap();
    assert_eq!(builder.update(b"de").unwrap_err().kind(), Kind::Ceiling);
    let error = builder.finish(Digest::of(b"abc")).unwrap_err();
    assert_eq!(error.kind(), Kind::Incomplete);
    let error = Builder::new(LARGEST + 1, Vec::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::Ceiling);
}

/// A root of one group, and what its fields are.
fn root_of(size: u64, average: u32, groups: &[(u64, u16)]) -> Vec<u8> {
    let mut bytes = b"vccindex\x01".to_vec();
    bytes.extend([7; 32]);
    bytes.extend(size.to_be_bytes());
    bytes.extend(average.to_be_bytes());
    bytes.extend(u32::try_from(groups.len()).unwrap().to_be_bytes());
    for (length, chunks) in groups {
        bytes.extend([9; 32]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(chunks.to_be_bytes());
    }
    bytes
}

#[test]
fn an_inconsistent_root_is_refused() {
    let average = 16 << 10;
    let long = 64 << 10;
    let good = root_of(5 * long, average, &[(4 * long, 4), (long, 2)]);
    assert_eq!(Root::decode(&good).unwrap().encode(), good);
    for (wrong, kind) in [
        // Sums, averages and numbers that say something else.
        (
            root_of(5 * long + 1, average, &[(4 * long, 4), (long, 2)]),
            Kind::Malformed,
        ),
        (
            root_of(5 * long, 4 * average, &[(4 * long, 4), (long, 2)]),
            Kind::Malformed,
        ),
        (root_of(0, average, &[(0, 0)]), Kind::Malformed),
        (root_of(long, average, &[(long, 0)]), Kind::Malformed),
        // More than the chunks can have, and less.
        (
            root_of(4 * long + 1, average, &[(4 * long + 1, 4)]),
            Kind::Malformed,
        ),
        (
            root_of(long + 1, average, &[(4095, 1), (long - 4094, 1)]),
            Kind::Malformed,
        ),
        (root_of(4096, average, &[(4096, 2)]), Kind::Malformed),
        (
            root_of(257 * long, average, &[(257 * long, 257)]),
            Kind::Malformed,
        ),
        // More than anybody keeps.
        (root_of(LARGEST + 1, 1 << 20, &[]), Kind::Ceiling),
        (
            root_of(long, average, &[(u64::MAX, 1), (long + 1, 1)]),
            Kind::Ceiling,
        ),
        (
            root_of(LARGEST, 1 << 20, &vec![(1 << 20, 1); MOST_GROUPS + 1]),
            Kind::Ceiling,
        ),
    ] {
        assert_eq!(Root::decode(&wrong).unwrap_err().kind(), kind);
    }
}

#[test]
fn a_group_that_its_root_should_not_name_is_refused() {
    let average = 16 << 10;
    let entry = |low: u8, length: u32| {
        let mut entry = vec![1; 31];
        entry.push(low);
        entry.extend(length.to_be_bytes());
        entry
    };
    let signed = |entries: Vec<Vec<u8>>, bytes: u64, chunks: u16| {
        let encoded = entries.concat();
        let mut root = root_of(2 * bytes, average, &[(bytes, chunks), (bytes, chunks)]);
        root[57..89].copy_from_slice(&digest_of(&encoded));
        Root::decode(&root).unwrap().group(0, &encoded)
    };
    assert!(signed(vec![entry(1, 9000), entry(0, 9000)], 18_000, 2).is_ok());
    for (wrong, bytes, chunks) in [
        (vec![entry(1, 9000), entry(0, 9001)], 18_000, 2),
        (vec![entry(1, 4095), entry(0, 9000)], 13_095, 2),
        (vec![entry(1, 65_537), entry(0, 9000)], 74_537, 2),
        (vec![entry(0, 9000), entry(0, 9000)], 18_000, 2),
        (vec![entry(1, 9000), entry(1, 9000)], 18_000, 2),
        (vec![entry(0, 18_000)], 18_000, 2),
    ] {
        assert_eq!(signed(wrong, bytes, chunks).unwrap_err().kind(), Kind::Malformed);
    }
}

#[test]
fn an_index_is_kept_beside_its_blob_and_goes_with_it() {
    let state = State::new();
    let bytes = noise(2, 2 << 20);
    let digest = state.adopt(&bytes);
    assert!(state.open(&digest).is_none());
    let index = state.build(&digest);
    let (root, encoded) = indexed(&bytes);
    assert_eq!(index.root(), &root);
    for (number, group) in groups(&root, &encoded).iter().enumerate() {
        assert_eq!(&index.group(number).unwrap(), group);
        assert_eq!(index.encoded(number).unwrap(), group.encode());
    }
    let none = index.group(root.groups().len()).unwrap_err();
    assert_eq!(none.kind(), Kind::Unknown);
    assert_eq!(state.open(&digest).unwrap().root(), &root);
    let other = Owner::Tenant(Uuid::new_v4());
    assert!(Index::open(&state.blobs, &other, &digest).unwrap().is_none());
    state.blobs.remove(&OWNER, &digest).unwrap();
    assert!(state.open(&digest).is_none());
    assert_eq!(state.names(), 0);
}

#[test]
fn a_small_file_has_no_index_nor_has_one_that_nobody_waits_for_any_more() {
    let state = State::new();
    let small = state.adopt(&noise(3, (1 << 20) - 1));
    let built = Index::build(&state.blobs, &OWNER, &small, &|| true).unwrap();
    assert!(built.is_none());
    let large = state.adopt(&noise(3, 2 << 20));
    let asked = std::cell::Cell::new(0);
    let twice = || asked.replace(asked.get() + 1) < 2;
    let built = Index::build(&state.blobs, &OWNER, &large, &twice).unwrap();
    assert!(built.is_none());
    assert_eq!(state.names(), 0);
}

#[test]
fn a_damaged_blob_gets_no_index() {
    let state = State::new();
    let mut bytes = noise(4, 2 << 20);
    let digest = state.adopt(&bytes);
    bytes[1 << 20] ^= 1;
    let text = digest.to_string();
    let path = state
        .directory
        .path()
        .join(format!("blobs/{OWNER}/{}/{text}", &text[..2]));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let error = Index::build(&state.blobs, &OWNER, &digest, &|| true).unwrap_err();
    assert_eq!(error.kind(), Kind::StateCorrupt);
    assert_eq!(state.names(), 0);
}

#[test]
fn an_index_that_came_is_kept_for_its_own_file_alone() {
    let state = State::new();
    let bytes = noise(5, 2 << 20);
    let digest = state.adopt(&bytes);
    let (root, encoded) = indexed(&bytes);
    let mut write = |out: &mut dyn Write| {
        out.write_all(&encoded)
            .map_err(|error| Error::new(Kind::Io, "", "").because(error))?;
        Ok(root.clone())
    };
    let other = Digest::of(b"other");
    let error = Index::keep(&state.blobs, &OWNER, &other, &mut write).unwrap_err();
    assert_eq!(error.kind(), Kind::Mismatch);
    Index::keep(&state.blobs, &OWNER, &digest, &mut write).unwrap();
    assert_eq!(state.open(&digest).unwrap().root(), &root);
    assert_eq!(state.names(), 1);
    // Fewer groups than the root names.
    let mut short = |_: &mut dyn Write| Ok(root.clone());
    Index::keep(&state.blobs, &OWNER, &digest, &mut short).unwrap();
    assert!(state.open(&digest).is_none());
}

#[test]
fn indexes_without_a_blob_and_unfinished_ones_are_swept() {
    let state = State::new();
    let digest = state.adopt(&noise(6, 2 << 20));
    state.build(&digest);
    let stray = Digest::of(b"stray");
    std::fs::copy(state.path(&digest), state.path(&stray)).unwrap();
    let unfinished = state
        .path(&digest)
        .with_file_name(format!("{}.new", Uuid::new_v4()));
    std::fs::write(&unfinished, "half").unwrap();
    let kept = state.blobs.keep_index(&OWNER, &Digest::of(b"other"), |_| {
        // One that this process writes at this moment.
        state.blobs.sweep_indexes()
    });
    kept.unwrap();
    assert!(!state.path(&stray).exists() && !unfinished.exists());
    state.blobs.sweep_indexes().unwrap();
    assert!(state.open(&digest).is_some());
    assert_eq!(state.names(), 1);
}

#[test]
fn an_older_version_with_twenty_changes_and_an_insertion_spares_all_but_a_fortieth() {
    let old = noise(7, 64 << 20);
    let mut new = old.clone();
    for change in 0..20 {
        let at = 1_000_000 + change * 3_200_017;
        new[at..at + 4096].copy_from_slice(&noise(change as u64 + 100, 4096));
    }
    new.splice(20_000_000..20_000_000, noise(99, 5000));
    let state = State::new();
    let mut source = Source::new(&new);
    let known = Known::new(&source.root, vec![state.candidate(&old)]);
    assert!(source.receive(&known) == new);
    let all = source.fetched + source.index;
    println!(
        "fetched {} bytes, and {} of the index",
        source.fetched, source.index
    );
    assert!(all < (64 << 20) / 40, "{all}");
}

#[test]
fn a_file_that_is_there_is_not_fetched_at_all_nor_is_its_index() {
    let bytes = noise(8, 2 << 20);
    let state = State::new();
    let mut source = Source::new(&bytes);
    let root = source.index;
    let known = Known::new(&source.root, vec![state.candidate(&bytes)]);
    assert_eq!(known.missing().count(), 0);
    assert!(source.receive(&known) == bytes);
    assert_eq!((source.fetched, source.index), (0, root));
}

#[test]
fn what_is_damaged_in_an_older_version_is_fetched() {
    let old = noise(9, 4 << 20);
    let mut new = old.clone();
    new[3 << 20] ^= 1;
    let state = State::new();
    let digest = state.adopt(&old);
    state.build(&digest);
    let text = digest.to_string();
    let blob = state
        .directory
        .path()
        .join(format!("blobs/{OWNER}/{}/{text}", &text[..2]));
    let mut damaged = old.clone();
    damaged[1 << 20] ^= 1;
    std::fs::remove_file(&blob).unwrap();
    std::fs::write(&blob, &damaged[..7 << 19]).unwrap();
    let candidate = Candidate {
        blob: state.blobs.open_blob(&OWNER, &digest).unwrap().0,
        index: state.open(&digest).unwrap(),
    };
    let mut source = Source::new(&new);
    let known = Known::new(&source.root, vec![candidate]);
    assert!(source.receive(&known) == new);
    assert!((1 << 19..1 << 20).contains(&source.fetched), "{}", source.fetched);
}

#[test]
fn a_file_of_which_nothing_is_known_is_fetched_in_few_pieces() {
    let state = State::new();
    let new = noise(10, 9 << 20);
    let mut source = Source::new(&new);
    let known = Known::new(&source.root, vec![state.candidate(&noise(11, 2 << 20))]);
    assert_eq!(known.missing().count(), source.root.groups().len());
    let (mut planner, mut pieces) = (Planner::new(), Vec::new());
    for (number, group) in source.groups.iter().enumerate() {
        planner.add(&known, &source.root, number, group, &mut pieces);
    }
    pieces.extend(planner.finish());
    assert_eq!(pieces.len(), 3);
    assert!(source.receive(&known) == new);
    assert_eq!(source.fetched, 9 << 20);
}

/// What somebody does to a file.
#[derive(Debug, Clone)]
enum Edit {
    Overwrite(usize, usize),
    Insert(usize, usize),
    Remove(usize, usize),
    Repeat(usize, usize, usize),
    Zero(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let (place, length) = (0_usize..3 << 20, 0_usize..200_000);
    prop_oneof![
        (place.clone(), length.clone()).prop_map(|(at, length)| Edit::Overwrite(at, length)),
        (place.clone(), length.clone()).prop_map(|(at, length)| Edit::Insert(at, length)),
        (place.clone(), length.clone()).prop_map(|(at, length)| Edit::Remove(at, length)),
        (place.clone(), length.clone(), place.clone())
            .prop_map(|(from, length, to)| Edit::Repeat(from, length, to)),
        (place, length).prop_map(|(at, length)| Edit::Zero(at, length)),
    ]
}

fn edited(bytes: &[u8], edits: &[Edit], seed: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for edit in edits {
        let clip = |at: usize, length: usize| at.min(bytes.len())..(at + length).min(bytes.len());
        match *edit {
            Edit::Overwrite(at, length) => {
                let range = clip(at, length);
                let new = noise(seed, range.len());
                bytes[range].copy_from_slice(&new);
            }
            Edit::Insert(at, length) => {
                bytes.splice(clip(at, 0), noise(seed, length));
            }
            Edit::Remove(at, length) => {
                bytes.drain(clip(at, length));
            }
            Edit::Repeat(from, length, to) => {
                let part = bytes[clip(from, length)].to_vec();
                bytes.splice(clip(to, 0), part);
            }
            Edit::Zero(at, length) => {
                let range = clip(at, length);
                bytes[range].fill(0);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn an_edited_file_is_made_anew_of_its_older_versions(
        seed in any::<u64>(),
        first in prop::collection::vec(edit(), 0..4),
        second in prop::collection::vec(edit(), 0..4),
    ) {
        let oldest = noise(seed, 2 << 20);
        let older = edited(&oldest, &first, seed ^ 1);
        let new = edited(&older, &second, seed ^ 2);
        let state = State::new();
        let mut source = Source::new(&new);
        let candidates = [older, oldest].iter().filter(|old| old.len() >= 1 << 20).map(|old| state.candidate(old)).collect();
        let known = Known::new(&source.root, candidates);
        prop_assert!(source.receive(&known) == new);
        prop_assert!(source.fetched <= new.len() as u64);
    }

    #[test]
    fn a_root_reads_as_it_is_written_and_a_changed_one_is_refused_or_another(
        seed in any::<u64>(),
        length in 1_usize..2 << 20,
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let (root, _) = indexed(&noise(seed, length));
        let bytes = root.encode();
        prop_assert!(bytes.len() <= Root::LONGEST);
        prop_assert_eq!(Root::decode(&bytes).unwrap(), root);
        prop_assert!(Root::decode(&bytes[..place.index(bytes.len())]).is_err());
        prop_assert!(Root::decode(&[bytes.as_slice(), b"\0"].concat()).is_err());
        let mut changed = bytes.clone();
        changed[place.index(bytes.len())] ^= 1 << bit;
        if let Ok(other) = Root::decode(&changed) {
            // Nothing but a digest can be another, or two lengths that add up; and it has one encoding.
            prop_assert_eq!(other.encode(), changed);
        }
    }

    #[test]
    fn a_changed_or_shortened_group_is_refused(
        seed in any::<u64>(),
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let (root, encoded) = indexed(&noise(seed, 600_000));
        let bytes = &encoded[..root.groups()[0].encoded()];
        prop_assert_eq!(root.group(0, bytes).unwrap().encode(), bytes);
        let at = place.index(bytes.len());
        let mut changed = bytes.to_vec();
        changed[at] ^= 1 << bit;
        for wrong in [&changed, &bytes[..at].to_vec(), &[bytes, b"\0"].concat()] {
            prop_assert_eq!(root.group(0, wrong).unwrap_err().kind(), Kind::Mismatch);
        }
    }

    #[test]
    fn no_bytes_make_a_root_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in any::<u64>()) {
        let _ = Root::decode(&bytes);
        let head = [&b"vccindex\x01"[..], &[0; 32], &size.to_be_bytes(), &bytes].concat();
        let _ = Root::decode(&head);
    }

    #[test]
    fn a_kept_index_that_was_damaged_is_as_if_absent_or_tells_so(
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        is_cut in any::<bool>(),
    ) {
        let state = State::new();
        let digest = state.adopt(&noise(12, 1 << 20));
        let groups = state.build(&digest).root().groups().len();
        let path = state.path(&digest);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = place.index(bytes.len());
        match is_cut {
            true => bytes.truncate(at),
            false => bytes[at] ^= 1 << bit,
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        if let Some(index) = state.open(&digest) {
            let bad = (0..groups).filter_map(|number| index.group(number).err());
            let bad: Vec<Kind> = bad.map(|error| error.kind()).collect();
            prop_assert_eq!(bad, vec![Kind::StateCorrupt]);
        }
    }
}
