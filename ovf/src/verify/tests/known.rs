//! Digests that are known beforehand.

use std::collections::HashMap;

use super::*;
use crate::manifest::Digest;
use crate::package::{Folder, FolderFile};

/// The members side by side; files of the package have their lengths and no bytes.
struct Promised(Members);

impl Folder for Promised {
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, Error> {
        let found = self.0.iter().find(|(own, _)| own == name.as_str());
        Ok(found.map(|(own, bytes)| {
            let is_text = [".ovf", ".mf", ".cert"]
                .iter()
                .any(|ending| own.ends_with(ending));
            let body = if is_text { bytes.clone() } else { Vec::new() };
            FolderFile {
                size: bytes.len() as u64,
                body: Box::new(Cursor::new(body)),
            }
        }))
    }
}

fn promised(members: &Members, algorithm: DigestAlgorithm) -> HashMap<MemberName, Digest> {
    let digest =
        |(name, bytes): &(String, Vec<u8>)| (MemberName::parse(name).unwrap(), algorithm.digest(bytes));
    members.iter().map(digest).collect()
}

fn judged(members: &Members, known: &HashMap<MemberName, Digest>) -> Verdict {
    let descriptor = MemberName::parse("small.ovf").unwrap();
    let mut source = Source::folder(Promised(members.clone()), descriptor);
    verify_knowing(&mut source, &policy(), &[DigestAlgorithm::Sha256], known)
}

#[test]
fn files_whose_digests_are_known_are_judged_without_their_bytes() {
    let members = members_of(&signed());
    let verdict = judged(&members, &promised(&members, DigestAlgorithm::Sha256));
    assert!(verdict.is_accepted(), "{:?}", failures(&verdict));
}

#[test]
fn a_known_digest_that_is_not_the_manifests_is_refused_by_the_files_name() {
    let members = members_of(&signed());
    let mut known = promised(&members, DigestAlgorithm::Sha256);
    let (name, _) = members.iter().find(|(name, _)| name.ends_with(".vmdk")).unwrap();
    let other = DigestAlgorithm::Sha256.digest(b"another disk");
    known.insert(MemberName::parse(name).unwrap(), other);
    assert_eq!(
        failures(&judged(&members, &known)),
        [("manifest.digest", Some(name.as_str()))]
    );
}

#[test]
fn a_digest_of_another_algorithm_vouches_for_nothing() {
    let members = members_of(&signed());
    let verdict = judged(&members, &promised(&members, DigestAlgorithm::Sha512));
    assert!(!verdict.is_accepted(), "the bytes are read, and there are none");
}
