//! What the judgement on a package will come to, before all of it is there.

use std::collections::HashMap;
use std::io::{Read, Seek};

use ovf::manifest::{DigestAlgorithm, Manifest};
use ovf::package::{Role, Source};
use ovf::verify::verify_knowing;
use serde_json::Value;

use super::judge::told;
use super::{InForce, Package, judge};
use crate::error::Result;

/// Judges a package of which descriptor, manifest and certificate are there, and of the other files lengths and digests are
/// promised: what it will come to if they are kept. Nothing where that can't be told: of an archive, and of a manifest with
/// digests that aren't SHA-256.
///
/// # Errors
/// Its files can't be read: that says nothing about the package.
pub fn foresee(package: &Package, policy: &InForce) -> Result<Option<(bool, Value)>> {
    if let Some(refused) = policy.refuses_everything() {
        return Ok(Some((false, refused)));
    }
    let is_told = package.is_folder()
        && package
            .digests(&policy.policy)?
            .is_none_or(|digests| digests == [DigestAlgorithm::Sha256]);
    match is_told {
        true => judge(package, policy).map(Some),
        false => Ok(None),
    }
}

/// Judges an archive that lies elsewhere by its descriptor, manifest and certificate, wherever in it they are, and by the headers of its
/// other members, as if these had the digests that the manifest names. Nothing where that can't be told: it can't be read so, or the
/// manifest doesn't say enough.
pub fn foresee_archive<R: Read + Seek + Send + 'static>(
    open: impl Fn() -> R,
    policy: &InForce,
) -> Option<(bool, Value)> {
    if let Some(refused) = policy.refuses_everything() {
        return Some((false, refused));
    }
    let source = || {
        let mut source = Source::seekable(open());
        policy.policy.tolerate_in(&mut source);
        source
    };
    let (mut files, mut manifest) = (Vec::new(), None);
    let mut look = source();
    while let Some(mut member) = look.next_member().ok()? {
        match member.role() {
            Role::Manifest => manifest = Some(Manifest::parse(&member.read_all().ok()?).ok()?),
            Role::File => files.push(member.name().clone()),
            Role::Descriptor | Role::Certificate => {}
        }
    }
    let (mut known, mut digests) = (HashMap::new(), Vec::new());
    for entry in manifest.iter().flat_map(Manifest::entries) {
        digests.push(entry.digest.algorithm());
        if files.contains(&entry.name) {
            known.insert(entry.name.clone(), entry.digest.clone());
        }
    }
    digests.sort_unstable();
    digests.dedup();
    if digests.is_empty() {
        digests = policy.policy.digests();
    }
    let verdict = verify_knowing(&mut source(), &policy.policy, &digests, &known);
    let is_unread = verdict.failures().any(|check| check.code == ovf::Kind::Io.code());
    (!is_unread).then(|| (verdict.is_accepted(), told(&verdict)))
}
