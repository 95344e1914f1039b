//! One pass over a package: what is collected on the way, and when which rule can speak.

use std::io::Read;

use super::expectation::Expectation;
use super::verdict::{Report, Verdict};
use super::{Policy, Tolerance, certificate, contents, manifest};
use crate::descriptor::Descriptor;
use crate::error::{Error, Kind};
use crate::manifest::{Digest, DigestAlgorithm, Digester, Manifest};
use crate::package::{Member, MemberName, Role, Source};

/// How much of a member is read at a time.
const PIECE: usize = 256 << 10;

/// A package as far as it has been read.
pub(super) struct Run<'p> {
    pub(super) policy: &'p Policy,
    /// What is computed of a file that stands before the manifest.
    digests: &'p [DigestAlgorithm],
    pub(super) archive: bool,
    pub(super) report: Report,
    pub(super) descriptor: Option<Text>,
    /// What the descriptor says the package holds; none if it cannot be read.
    pub(super) expected: Option<Vec<Expectation>>,
    pub(super) manifest: Option<(Text, Option<Manifest>)>,
    pub(super) certificate: Option<Text>,
    pub(super) files: Vec<Seen>,
    /// The roles in the order of the archive.
    pub(super) order: Vec<Role>,
}

/// A member that is small and was kept.
pub(super) struct Text {
    pub(super) name: MemberName,
    pub(super) bytes: Vec<u8>,
}

/// A file that was read and digested.
pub(super) struct Seen {
    pub(super) name: MemberName,
    pub(super) size: u64,
    pub(super) digests: Vec<Digest>,
}

impl<'p> Run<'p> {
    pub(super) fn new(policy: &'p Policy, digests: &'p [DigestAlgorithm], archive: bool) -> Self {
        Run {
            policy,
            digests,
            archive,
            report: Report::default(),
            descriptor: None,
            expected: None,
            manifest: None,
            certificate: None,
            files: Vec::new(),
            order: Vec::new(),
        }
    }

    pub(super) fn over(mut self, source: &mut Source) -> Verdict {
        let whole = self.walk(source);
        match &whole {
            Ok(()) => self.report.ok(Kind::Truncated, None, "the package is whole"),
            Err(error) => self.report.refused(error, None),
        }
        certificate::check(&mut self);
        manifest::check(&mut self, whole.is_ok());
        contents::check(&mut self, whole.is_ok());
        self.report.into_verdict()
    }

    fn walk(&mut self, source: &mut Source) -> Result<(), Error> {
        if self.policy.tolerates(Tolerance::TrailingZeros) {
            source.tolerate_trailing_zeros();
        }
        if self.policy.tolerates(Tolerance::Pax) {
            source.tolerate_pax();
        }
        if self.policy.tolerates(Tolerance::LongNames) {
            source.tolerate_long_names();
        }
        let mut buffer = vec![0; PIECE];
        while let Some(mut member) = source.next_member()? {
            self.order.push(member.role());
            let name = member.name().clone();
            match member.role() {
                Role::Descriptor => {
                    let bytes = member.read_all()?;
                    self.expect(&name, &bytes);
                    self.descriptor = Some(Text { name, bytes });
                }
                Role::Manifest => {
                    let bytes = member.read_all()?;
                    let manifest = self.read_manifest(&name, &bytes);
                    self.manifest = Some((Text { name, bytes }, manifest));
                }
                Role::Certificate => {
                    self.certificate = Some(Text {
                        name,
                        bytes: member.read_all()?,
                    })
                }
                Role::File => {
                    let seen = self.digest(&mut member, &mut buffer)?;
                    self.files.push(seen);
                }
            }
        }
        if self.descriptor.is_none() {
            return Err(Error::new(Kind::PackageFormat, "the package has no descriptor"));
        }
        Ok(())
    }

    fn expect(&mut self, name: &MemberName, bytes: &[u8]) {
        let parsed = Descriptor::parse(bytes).and_then(|descriptor| Expectation::all(&descriptor));
        match parsed {
            Ok(expected) => self.expected = Some(expected),
            Err(error) => self.report.refused(&error, Some(name.as_str())),
        }
    }

    fn read_manifest(&mut self, name: &MemberName, bytes: &[u8]) -> Option<Manifest> {
        match Manifest::parse(bytes) {
            Ok(manifest) => Some(manifest),
            Err(error) => {
                self.report.refused(&error, Some(name.as_str()));
                None
            }
        }
    }

    fn digest(&self, member: &mut Member<'_>, buffer: &mut [u8]) -> Result<Seen, Error> {
        let mut digesters: Vec<_> = self
            .algorithms(member.name())
            .into_iter()
            .map(Digester::new)
            .collect();
        let mut size = 0;
        loop {
            let read = match member.read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                result => result.map_err(|error| Error::io("reading", error).in_member(member.name()))?,
            };
            if read == 0 {
                break;
            }
            size += read as u64;
            for digester in &mut digesters {
                digester.update(&buffer[..read]);
            }
        }
        let digests = digesters.into_iter().map(Digester::finish).collect();
        Ok(Seen {
            name: member.name().clone(),
            size,
            digests,
        })
    }

    /// The digests to compute of a file: the one its manifest line names; those that may pass, if the
    /// manifest comes after it.
    fn algorithms(&self, name: &MemberName) -> Vec<DigestAlgorithm> {
        match &self.manifest {
            Some((_, Some(manifest))) => manifest
                .entry(name)
                .map(|entry| entry.digest.algorithm())
                .into_iter()
                .collect(),
            Some((_, None)) => Vec::new(),
            None => self.digests.to_vec(),
        }
    }
}
