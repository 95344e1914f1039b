//! What each target of a transfer does with its bytes, which a destination reads from a node that nobody has to believe;
//! `appliance`'s tests call these with the seeds.
//!
//! Each claims more than that nothing panics: what was accepted is written the same, and holds what those behind it go by.

use std::collections::BTreeSet;

use appliance::chunk::{Root, digest_of};
use appliance::digest::Digest;
use appliance::transfer::{Grant, Offer, Purpose, Receipt, Signed};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of a root before its groups, of each of these there, and of a chunk in a group's encoding.
const HEAD: usize = 57;
const GROUP: usize = 42;
const CHUNK: usize = 36;

/// A chunk index: its root, and behind that the encodings of its groups. Their digests are made right first: behind wrong ones
/// nothing would be found.
pub fn index(bytes: &[u8]) {
    root(bytes);
    let Some(count) = bytes.get(HEAD - 4..HEAD) else {
        return;
    };
    let count = count
        .iter()
        .fold(0, |count, byte| count << 8 | usize::from(*byte));
    let end = count.saturating_mul(GROUP).saturating_add(HEAD);
    let Some((told, mut rest)) = bytes.split_at_checked(end) else {
        return;
    };
    let (mut told, mut parts) = (told.to_vec(), Vec::new());
    for entry in told[HEAD..].chunks_exact_mut(GROUP) {
        let chunks = usize::from(u16::from_be_bytes([entry[GROUP - 2], entry[GROUP - 1]]));
        let (part, after) = rest.split_at(rest.len().min(chunks * CHUNK));
        entry[..32].copy_from_slice(&digest_of(part));
        parts.push(part);
        rest = after;
    }
    let Some(root) = root(&told) else {
        return;
    };
    for (number, (part, named)) in parts.iter().zip(root.groups()).enumerate() {
        if let Ok(group) = root.group(number, part) {
            assert_eq!(group.encode(), *part);
            let bytes: u64 = group.chunks().iter().map(|chunk| u64::from(chunk.length)).sum();
            assert_eq!(bytes, named.bytes);
        }
        assert!(root.group(number + 1, part).is_err() || parts.get(number + 1) == Some(part));
    }
}

fn root(bytes: &[u8]) -> Option<Root> {
    let root = Root::decode(bytes).ok()?;
    assert_eq!(root.encode(), bytes, "it has one encoding");
    let (mut offset, mut chunks) = (0, 0);
    for group in root.groups() {
        assert_eq!((group.offset, u64::from(group.first)), (offset, chunks));
        assert!(group.chunks > 0 && group.bytes > 0);
        (offset, chunks) = (offset + group.bytes, chunks + u64::from(group.chunks));
    }
    assert_eq!((root.size(), root.chunks()), (offset, chunks));
    Some(root)
}

/// What a source says that it has.
pub fn offer(bytes: &[u8]) {
    let Ok(offer) = serde_json::from_slice::<Offer>(bytes) else {
        return;
    };
    let again: Offer = serde_json::from_slice(&written(&offer)).expect("what was written is read");
    assert_eq!((&again, again.digest()), (&offer, offer.digest()));
    for file in &offer.files {
        let _ = Offer::is_leading(file);
    }
    if let Ok(files) = offer.new_files() {
        let names: BTreeSet<String> = files.iter().map(|file| file.name.to_lowercase()).collect();
        assert!(names.len() == files.len() && (1..=256).contains(&names.len()));
        for name in names {
            assert!(!name.is_empty() && !name.contains(['/', '\\', '\0']) && name != "..");
        }
    }
}

/// A signed document, and the documents themselves as if they had been signed.
pub fn signed(bytes: &[u8]) {
    document::<Grant>(bytes);
    document::<Receipt>(bytes);
    let Ok(signed) = serde_json::from_slice::<Signed>(bytes) else {
        return;
    };
    let again: Signed = serde_json::from_slice(&written(&signed)).expect("what was written is read");
    assert_eq!(again, signed);
    let mut purposes = 0;
    for purpose in [Purpose::Grant, Purpose::Receipt, Purpose::Index] {
        let _ = signed.certificate(purpose);
        let Ok(document) = signed.open(purpose) else {
            continue;
        };
        purposes += 1;
        assert_eq!(
            signed.digest(purpose).expect("what is opened has a digest"),
            Digest::of(&document)
        );
        match purpose {
            Purpose::Grant => drop(signed.read::<Grant>(purpose)),
            Purpose::Receipt => drop(signed.read::<Receipt>(purpose)),
            Purpose::Index => drop(document.get(32..).map(root)),
        }
    }
    assert!(purposes <= 1, "it is good for one purpose");
}

fn document<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    if let Ok(document) = serde_json::from_slice::<T>(bytes) {
        let once = written(&document);
        let again: T = serde_json::from_slice(&once).expect("what was written is read");
        assert_eq!(written(&again), once);
    }
}

fn written(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("what was read is written")
}
