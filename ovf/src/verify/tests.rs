use std::io::Cursor;

use super::*;
use crate::error::Kind;
use crate::fixture::{NOW, archive, keys, publisher_params};
use crate::manifest::{DigestAlgorithm, Manifest};
use crate::package::MemberName;
use crate::package::ova::Reader;

type Members = Vec<(String, Vec<u8>)>;

fn policy() -> Policy {
    Policy::at(NOW).trusting(keys().roots())
}

fn judge(archive: Vec<u8>, policy: &Policy) -> Verdict {
    verify(&mut Source::stream(Cursor::new(archive)), policy)
}

fn signed() -> Vec<u8> {
    archive(Some(&keys().signer()))
}

fn members_of(archive: &[u8]) -> Members {
    let mut reader = Reader::new(archive);
    let mut members = Vec::new();
    while let Some(mut member) = reader.next_member().unwrap() {
        members.push((member.name().to_string(), member.read_all().unwrap()));
    }
    members
}

/// An archive of these members, made by a builder that asks nothing.
fn pack(members: &Members) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, bytes.as_slice()).unwrap();
    }
    let mut archive = builder.into_inner().unwrap();
    archive.resize(archive.len().next_multiple_of(10240), 0);
    archive
}

fn place(members: &Members, name: &str) -> usize {
    members.iter().position(|(own, _)| own == name).unwrap()
}

/// The codes that failed, each with the member it names.
fn failures(verdict: &Verdict) -> Vec<(&str, Option<&str>)> {
    verdict
        .failures()
        .map(|check| (check.code, check.member.as_deref()))
        .collect()
}

/// Signs the members anew after a change, as an insider could.
fn reseal(members: &mut Members, change: impl FnOnce(&mut Members)) {
    change(members);
    let mut manifest = Manifest::new();
    for (name, bytes) in members
        .iter()
        .filter(|(name, _)| !name.ends_with(".mf") && !name.ends_with(".cert"))
    {
        manifest
            .add(
                MemberName::parse(name).unwrap(),
                DigestAlgorithm::Sha256.digest(bytes),
            )
            .unwrap();
    }
    seal(members, &manifest.render());
}

fn seal(members: &mut Members, manifest: &[u8]) {
    let at = place(members, "small.mf");
    members[at].1 = manifest.to_vec();
    let at = place(members, "small.cert");
    members[at].1 = keys().signer().sign("small.mf", manifest).unwrap();
}

mod archive;
mod known;
mod members;
mod policy;
mod revocation;
mod signer;
mod spelling;
