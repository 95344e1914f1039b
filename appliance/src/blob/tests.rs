use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use super::*;
use crate::store::Space;

const PROVIDER: Owner = Owner::Provider;

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

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    /// What is sealed of these bytes.
    fn sealed(&self, owner: &Owner, bytes: &[u8]) -> Sealed {
        let id = Uuid::new_v4();
        let mut partial = self.blobs.receive(owner, id, bytes.len() as u64).unwrap();
        partial.write(0, bytes).unwrap();
        partial.seal(None).unwrap()
    }

    fn adopted(&self, owner: &Owner, bytes: &[u8]) -> Digest {
        self.blobs.adopt(owner, self.sealed(owner, bytes)).unwrap()
    }

    fn bytes(&self, owner: &Owner, digest: &Digest) -> Option<Vec<u8>> {
        let (mut file, length) = known(self.blobs.open_blob(owner, digest)).unwrap()?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, length);
        Some(bytes)
    }
}

fn tenant() -> Owner {
    Owner::Tenant(Uuid::new_v4())
}

#[test]
fn what_was_received_is_a_blob_by_its_digest_and_nothing_is_left_in_quarantine() {
    let state = State::new();
    let digest = state.adopted(&PROVIDER, b"disk");
    assert_eq!(digest, Digest::of(b"disk"));
    assert_eq!(state.bytes(&PROVIDER, &digest).unwrap(), b"disk");
    assert_eq!(state.blobs.list(&PROVIDER).unwrap(), [digest]);
    assert!(state.blobs.quarantined(&PROVIDER).unwrap().is_empty());
    let text = digest.to_string();
    let path = state.path(&format!("blobs/provider/{}/{text}", &text[..2]));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o400);
    for folder in ["blobs", "quarantine", "blobs/provider", "quarantine/provider"] {
        let mode = state.path(folder).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{folder}");
    }
    state.blobs.remove(&PROVIDER, &digest).unwrap();
    state.blobs.remove(&PROVIDER, &digest).unwrap();
    assert_eq!(state.bytes(&PROVIDER, &digest), None);
    assert!(state.blobs.list(&PROVIDER).unwrap().is_empty());
}

#[test]
fn an_empty_file_is_a_blob() {
    let state = State::new();
    let digest = state.adopted(&PROVIDER, b"");
    assert_eq!(state.bytes(&PROVIDER, &digest).unwrap(), b"");
}

#[test]
fn the_same_file_is_kept_once_for_an_owner_and_for_each_owner() {
    let state = State::new();
    let (one, other) = (tenant(), tenant());
    let digest = state.adopted(&one, b"disk");
    assert_eq!(state.adopted(&one, b"disk"), digest);
    assert_eq!(state.blobs.list(&one).unwrap(), [digest]);
    assert_eq!(state.bytes(&other, &digest), None);
    assert!(state.blobs.list(&other).unwrap().is_empty());
    state.adopted(&other, b"disk");
    state.blobs.remove(&one, &digest).unwrap();
    assert_eq!(state.bytes(&other, &digest).unwrap(), b"disk");
    let owners = state.blobs.owners().unwrap();
    assert!(owners.contains(&one) && owners.contains(&other) && owners.len() == 2);
}

#[test]
fn a_blob_that_lost_its_end_is_replaced_by_the_same_file_sent_again() {
    let state = State::new();
    let digest = state.adopted(&PROVIDER, b"disk");
    let text = digest.to_string();
    std::fs::remove_file(state.path(&format!("blobs/provider/{}/{text}", &text[..2]))).unwrap();
    std::fs::write(state.path(&format!("blobs/provider/{}/{text}", &text[..2])), "di").unwrap();
    state.adopted(&PROVIDER, b"disk");
    assert_eq!(state.bytes(&PROVIDER, &digest).unwrap(), b"disk");
}

#[test]
fn nobody_adopts_what_another_owner_sent() {
    let state = State::new();
    let sealed = state.sealed(&tenant(), b"disk");
    let error = state.blobs.adopt(&PROVIDER, sealed).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(state.blobs.list(&PROVIDER).unwrap().is_empty());
}

#[test]
fn bytes_go_on_where_the_last_ones_ended_up_to_what_was_announced() {
    let state = State::new();
    let id = Uuid::new_v4();
    let mut partial = state.blobs.receive(&PROVIDER, id, 8).unwrap();
    partial.write(0, b"abcd").unwrap();
    for (offset, bytes, kind) in [
        (0, "abcd", Kind::Offset),
        (5, "f", Kind::Offset),
        (u64::MAX, "f", Kind::Offset),
        (4, "efghi", Kind::Ceiling),
    ] {
        let error = partial.write(offset, bytes.as_bytes()).unwrap_err();
        assert_eq!((error.kind(), partial.received()), (kind, 4));
    }
    assert_eq!(partial.seal(None).unwrap_err().kind(), Kind::Incomplete);
    let mut partial = state.blobs.resume(&PROVIDER, id).unwrap();
    assert_eq!((partial.received(), partial.size()), (0, 8));
    partial.write(0, b"abcdefgh").unwrap();
    let error = partial.seal(Some(Digest::of(b"other"))).unwrap_err();
    assert_eq!(error.kind(), Kind::Mismatch);
    let partial = state.blobs.resume(&PROVIDER, id).unwrap();
    let sealed = partial.seal(Some(Digest::of(b"abcdefgh"))).unwrap();
    assert_eq!(
        std::io::read_to_string(sealed.file().unwrap()).unwrap(),
        "abcdefgh"
    );
}

#[test]
fn a_file_is_received_by_one_at_a_time_and_an_id_begins_once() {
    let state = State::new();
    let id = Uuid::new_v4();
    let first = state.blobs.receive(&PROVIDER, id, 8).unwrap();
    assert_eq!(
        state.blobs.receive(&PROVIDER, id, 8).unwrap_err().kind(),
        Kind::Taken
    );
    assert_eq!(state.blobs.resume(&PROVIDER, id).unwrap_err().kind(), Kind::Taken);
    drop(first);
    state.blobs.resume(&PROVIDER, id).unwrap();
    let other = state.blobs.resume(&tenant(), id);
    assert_eq!(other.unwrap_err().kind(), Kind::Unknown);
}

#[test]
fn what_is_discarded_is_gone_also_for_whoever_still_receives_it() {
    let state = State::new();
    let id = Uuid::new_v4();
    let mut partial = state.blobs.receive(&PROVIDER, id, 4).unwrap();
    assert_eq!(state.blobs.quarantined(&PROVIDER).unwrap(), [id]);
    partial.write(0, b"disk").unwrap();
    state.blobs.discard(&PROVIDER, id).unwrap();
    state.blobs.discard(&PROVIDER, id).unwrap();
    assert!(state.blobs.quarantined(&PROVIDER).unwrap().is_empty());
    assert!(partial.seal(None).is_err());
    assert!(state.blobs.list(&PROVIDER).unwrap().is_empty());
    assert_eq!(
        state.blobs.resume(&PROVIDER, id).unwrap_err().kind(),
        Kind::Unknown
    );
}

#[test]
fn what_a_power_cut_left_behind_the_last_sync_is_not_believed() {
    let state = State::new();
    let id = Uuid::new_v4();
    let bytes = state.path(&format!("quarantine/provider/{id}/bytes"));
    let mut partial = state.blobs.receive(&PROVIDER, id, 8).unwrap();
    partial.write(0, b"abcd").unwrap();
    partial.sync().unwrap();
    partial.write(4, b"ef").unwrap();
    drop(partial);
    for tail in ["", "\0\0", "efgh", "more than there will ever be"] {
        std::fs::write(&bytes, format!("abcd{tail}")).unwrap();
        let partial = state.blobs.resume(&PROVIDER, id).unwrap();
        assert_eq!((partial.received(), partial.durable()), (4, 4), "{tail}");
    }
    let mut partial = state.blobs.resume(&PROVIDER, id).unwrap();
    partial.write(4, b"wxyz").unwrap();
    assert_eq!(partial.seal(None).unwrap().digest(), Digest::of(b"abcdwxyz"));
    std::fs::write(&bytes, "abc").unwrap();
    assert_eq!(
        state.blobs.resume(&PROVIDER, id).unwrap_err().kind(),
        Kind::StateCorrupt
    );
}

#[test]
fn what_comes_slowly_is_durable_before_much_of_it_is_there() {
    let state = State::new();
    let mut partial = state.blobs.receive(&PROVIDER, Uuid::new_v4(), 100).unwrap();
    partial.write(0, b"at once").unwrap();
    assert_eq!(partial.durable(), 0);
    partial.sync_after(Duration::ZERO);
    partial.write(7, b", late").unwrap();
    assert_eq!(partial.durable(), 13);
    partial.place(13, b"er").unwrap();
    partial.advance(15).unwrap();
    assert_eq!(partial.durable(), 15);
}

#[test]
fn a_crash_before_there_is_a_record_leaves_what_can_be_discarded() {
    let state = State::new();
    let id = Uuid::new_v4();
    let folder = state.path(&format!("quarantine/provider/{id}"));
    std::fs::create_dir_all(&folder).unwrap();
    assert_eq!(
        state.blobs.resume(&PROVIDER, id).unwrap_err().kind(),
        Kind::Unknown
    );
    std::fs::write(folder.join("bytes"), "").unwrap();
    assert_eq!(
        state.blobs.resume(&PROVIDER, id).unwrap_err().kind(),
        Kind::Unknown
    );
    std::fs::write(folder.join("received"), "4 ").unwrap();
    assert_eq!(
        state.blobs.resume(&PROVIDER, id).unwrap_err().kind(),
        Kind::StateCorrupt
    );
    std::fs::write(folder.join("received.new"), "0 8").unwrap();
    assert_eq!(state.blobs.quarantined(&PROVIDER).unwrap(), [id]);
    state.blobs.discard(&PROVIDER, id).unwrap();
    assert!(state.blobs.quarantined(&PROVIDER).unwrap().is_empty());
}

#[test]
fn a_crash_while_it_is_adopted_leaves_the_blob_whole_or_the_file_to_be_resumed() {
    for steps in 0..4 {
        let state = State::new();
        let sealed = state.sealed(&PROVIDER, b"disk");
        let (id, digest) = (sealed.id(), sealed.digest());
        if steps > 0 {
            sealed.make_read_only().unwrap();
        }
        if steps > 1 {
            state.blobs.home(&PROVIDER, &digest).unwrap();
        }
        if steps > 2 {
            sealed
                .move_to(&state.blobs.home(&PROVIDER, &digest).unwrap())
                .unwrap();
        }
        drop(sealed);
        let state = State {
            blobs: Blobs::open(state.directory.path()).unwrap(),
            ..state
        };
        if steps > 2 {
            assert_eq!(state.bytes(&PROVIDER, &digest).unwrap(), b"disk");
            assert_eq!(
                state.blobs.resume(&PROVIDER, id).unwrap_err().kind(),
                Kind::Unknown
            );
            state.blobs.discard(&PROVIDER, id).unwrap();
        } else {
            assert_eq!(state.bytes(&PROVIDER, &digest), None);
            assert!(state.blobs.list(&PROVIDER).unwrap().is_empty());
            let sealed = state
                .blobs
                .resume(&PROVIDER, id)
                .unwrap()
                .seal(Some(digest))
                .unwrap();
            state.blobs.adopt(&PROVIDER, sealed).unwrap();
        }
        assert_eq!(state.bytes(&PROVIDER, &digest).unwrap(), b"disk");
        assert!(state.blobs.quarantined(&PROVIDER).unwrap().is_empty());
    }
}

#[test]
fn links_and_strange_names_are_no_files_of_ours() {
    let state = State::new();
    let other = State::new();
    let digest = other.adopted(&PROVIDER, b"theirs");
    symlink(other.path("blobs/provider"), state.path("blobs/provider")).unwrap();
    assert!(state.blobs.open_blob(&PROVIDER, &digest).is_err());
    assert!(state.blobs.remove(&PROVIDER, &digest).is_err());
    assert!(state.blobs.list(&PROVIDER).is_err());
    assert_eq!(other.bytes(&PROVIDER, &digest).unwrap(), b"theirs");

    let owner = tenant();
    let digest = state.adopted(&owner, b"ours");
    let text = digest.to_string();
    let home = state.path(&format!("blobs/{owner}/{}", &text[..2]));
    std::fs::write(home.join("notes"), "").unwrap();
    std::fs::write(home.join(text.to_uppercase()), "").unwrap();
    std::fs::create_dir_all(state.path("blobs/lost+found")).unwrap();
    std::fs::create_dir_all(state.path(&format!("quarantine/{owner}/lost+found"))).unwrap();
    assert_eq!(state.blobs.list(&owner).unwrap(), [digest]);
    assert!(state.blobs.quarantined(&owner).unwrap().is_empty());
    assert_eq!(state.blobs.owners().unwrap(), [PROVIDER, owner]);
}

/// A file system of its own, which root alone can make.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = std::ffi::CString::new(options).unwrap();
        match mount("tmpfs", directory.path(), "tmpfs", MountFlags::empty(), &*options) {
            Ok(()) => Some(Self(directory)),
            Err(error) => {
                eprintln!("skipped: a small file system can't be mounted: {error}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

#[test]
fn a_disk_that_gets_full_takes_nothing_more_leaves_the_database_room_and_lets_it_go_on_later() {
    let Some(disk) = SmallDisk::new("size=8m") else {
        return;
    };
    let blobs = Blobs::open(disk.0.path()).unwrap();
    let (id, piece) = (Uuid::new_v4(), vec![7; 256 << 10]);
    let size = 32 * piece.len() as u64;
    let mut partial = blobs.receive(&PROVIDER, id, size).unwrap();
    let error = loop {
        if let Err(error) = partial.write(partial.received(), &piece) {
            break error;
        }
    };
    assert_eq!(error.kind(), Kind::StateFull);
    assert!(Space::of(disk.0.path()).unwrap().available >= 2 << 20);
    let received = partial.received();
    partial.sync().unwrap();
    drop(partial);
    rustix::mount::mount_remount(disk.0.path(), MountFlags::empty(), c"size=16m").unwrap();
    let mut partial = blobs.resume(&PROVIDER, id).unwrap();
    assert_eq!(partial.received(), received);
    while partial.received() < size {
        partial.write(partial.received(), &piece).unwrap();
    }
    let digest = partial.seal(None).unwrap().digest();
    assert_eq!(digest, Digest::of(&vec![7; usize::try_from(size).unwrap()]));
}

#[test]
fn a_disk_without_a_file_to_spare_begins_nothing_and_keeps_no_part_of_it() {
    let Some(disk) = SmallDisk::new("size=8m,nr_inodes=6") else {
        return;
    };
    let blobs = Blobs::open(disk.0.path()).unwrap();
    let error = blobs.receive(&PROVIDER, Uuid::new_v4(), 4).unwrap_err();
    assert_eq!(error.kind(), Kind::StateFull);
    assert!(blobs.quarantined(&PROVIDER).unwrap().is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    WriteElsewhere(u64),
    Sync,
    Resume,
    /// The process ends, and of what was not synced the disk has something else.
    Cut(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..40).prop_map(Step::Write),
        1 => any::<u64>().prop_map(Step::WriteElsewhere),
        1 => Just(Step::Sync),
        1 => Just(Step::Resume),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_a_file_comes_its_digest_is_that_of_its_bytes(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        steps in prop::collection::vec(step(), 0..30),
        sync_every in 1_u64..100,
    ) {
        let state = State::new();
        let id = Uuid::new_v4();
        let path = state.path(&format!("quarantine/provider/{id}/bytes"));
        let mut partial = state.blobs.receive(&PROVIDER, id, bytes.len() as u64).unwrap();
        for step in steps {
            partial.sync_every(sync_every);
            let (received, durable) = (partial.received(), partial.durable());
            let at = usize::try_from(received).unwrap();
            match step {
                Step::Write(length) => {
                    let end = bytes.len().min(at + length);
                    partial.write(received, &bytes[at..end]).unwrap();
                    prop_assert_eq!(partial.received(), end as u64);
                    prop_assert!(partial.received() - partial.durable() < sync_every);
                }
                Step::WriteElsewhere(offset) if offset != received => {
                    let error = partial.write(offset, b"x").unwrap_err();
                    prop_assert_eq!(error.kind(), Kind::Offset);
                    prop_assert_eq!(partial.received(), received);
                }
                Step::WriteElsewhere(_) => {}
                Step::Sync => partial.sync().unwrap(),
                Step::Resume => {
                    drop(partial);
                    partial = state.blobs.resume(&PROVIDER, id).unwrap();
                    prop_assert_eq!(partial.received(), durable);
                }
                Step::Cut(tail) => {
                    drop(partial);
                    let mut there = std::fs::read(&path).unwrap();
                    there.truncate(usize::try_from(durable).unwrap());
                    there.extend(tail);
                    std::fs::write(&path, there).unwrap();
                    partial = state.blobs.resume(&PROVIDER, id).unwrap();
                    prop_assert_eq!(partial.received(), durable);
                }
            }
        }
        let rest = usize::try_from(partial.received()).unwrap();
        partial.write(rest as u64, &bytes[rest..]).unwrap();
        let digest = Digest::of(&bytes);
        let sealed = partial.seal(Some(digest)).unwrap();
        state.blobs.adopt(&PROVIDER, sealed).unwrap();
        prop_assert_eq!(state.bytes(&PROVIDER, &digest).unwrap(), bytes);
    }
}
