//! Whether a package is what its publisher made, and whether the publisher is trusted.
//!
//! One pass over an archive or a folder, in constant memory, gives a [`Verdict`]: a list of [`Check`]s, each under the
//! code of the rule it applied ([`crate::Kind::code`]), with its outcome and the member it concerns. A package is accepted if
//! no check failed. No rule is waived in silence: a [`Policy`] names what it tolerates, and the verdict what was tolerated.
//!
//! ```no_run
//! use ovf::package::Source;
//! use ovf::verify::{Policy, verify};
//!
//! let mut source = Source::open("product.ova".as_ref())?;
//! let verdict = verify(&mut source, &Policy::at(1_700_000_000));
//! for check in verdict.failures() {
//!     eprintln!("{}: {}", check.code, check.reason);
//! }
//! # Ok::<(), ovf::Error>(())
//! ```
//!
//! The attacks that it stops: a member changed, added, dropped, doubled, renamed or moved; a manifest that leaves a
//! file out, the descriptor above all; manifest or certificate stripped where they are required; weak digests and
//! keys; a signer who is expired, revoked, not trusted, or not meant to sign. A disk's inside is not this module's
//! matter.

mod certificate;
mod contents;
mod expectation;
mod manifest;
mod policy;
mod run;
mod signer;
mod tolerance;
mod verdict;

use std::collections::HashMap;
use std::io::Read;

use crate::error::Error;
use crate::manifest::{Digest, DigestAlgorithm, Manifest};
use crate::package::{MemberName, Role, Source};

pub use self::expectation::files_in_order;
pub use self::policy::Policy;
pub use self::signer::SignerSummary;
pub use self::tolerance::Tolerance;
pub use self::verdict::{Check, Outcome, Verdict};

/// Reads a package from its first byte to its last, and judges it.
///
/// The source must stand at its beginning. What goes wrong on the way is part of the verdict, reading included.
pub fn verify(source: &mut Source, policy: &Policy) -> Verdict {
    verify_with(source, policy, &policy.digests())
}

/// The same, where only these digests are computed of files that stand before the manifest: those that
/// [`digests_named`] found on an earlier look. Under another digest a file is refused.
pub fn verify_with(source: &mut Source, policy: &Policy, digests: &[DigestAlgorithm]) -> Verdict {
    run::Run::new(policy, digests, source.is_archive()).over(source)
}

/// As [`verify_with`], where digests of files are known: of what was digested as it was written, or will be, nothing is read again.
/// A file is read nevertheless where the manifest names another algorithm for it than is known.
///
/// Whoever calls this vouches that the bytes are those of the digests, or sees to it that they will be.
pub fn verify_knowing(
    source: &mut Source,
    policy: &Policy,
    digests: &[DigestAlgorithm],
    known: &HashMap<MemberName, Digest>,
) -> Verdict {
    run::Run::new(policy, digests, source.is_archive())
        .knowing(known)
        .over(source)
}

/// Takes a package's members while they are verified: [`verify_taking`].
pub trait Taker {
    /// The bytes of a member as they are read. What is left unread is read and judged all the same.
    ///
    /// Nothing is vouched for yet: what is done with the bytes has to be undone if the verdict is a bad one.
    ///
    /// # Errors
    /// A failure ends the reading, and is part of the verdict.
    fn take(&mut self, name: &MemberName, size: u64, bytes: &mut dyn Read) -> std::io::Result<()>;
}

/// As [`verify_with`], handing every member to `taker` in the same pass.
pub fn verify_taking(
    source: &mut Source,
    policy: &Policy,
    digests: &[DigestAlgorithm],
    taker: &mut dyn Taker,
) -> Verdict {
    run::Run::new(policy, digests, source.is_archive())
        .taking(taker)
        .over(source)
}

/// The digests that a package's manifest names, from a look at its headers; none if it has no manifest.
///
/// Of a source that can be sought in, no file's bytes are read.
///
/// # Errors
/// Those of reading the archive and of [`Manifest::parse`].
pub fn digests_named(source: &mut Source) -> Result<Vec<DigestAlgorithm>, Error> {
    let mut named = Vec::new();
    while let Some(mut member) = source.next_member()? {
        if member.role() == Role::Manifest {
            let manifest = Manifest::parse(&member.read_all()?)?;
            named.extend(manifest.entries().iter().map(|entry| entry.digest.algorithm()));
            named.sort_unstable();
            named.dedup();
            break;
        }
    }
    Ok(named)
}

#[cfg(test)]
mod tests;
