//! One pass over a package: what is collected on the way, and when which rule can speak.

use std::collections::HashMap;
use std::io::Read;

use super::expectation::Expectation;
use super::verdict::{Report, Verdict};
use super::{Policy, Taker, certificate, contents, manifest};
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
    taker: Option<&'p mut dyn Taker>,
    known: Option<&'p HashMap<MemberName, Digest>>,
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
            taker: None,
            known: None,
        }
    }

    pub(super) fn knowing(self, known: &'p HashMap<MemberName, Digest>) -> Self {
        Run {
            known: Some(known),
            ..self
        }
    }

    pub(super) fn taking(self, taker: &'p mut dyn Taker) -> Self {
        Run {
            taker: Some(taker),
            ..self
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
        self.policy.tolerate_in(source);
        let mut buffer = vec![0; PIECE];
        while let Some(mut member) = source.next_member()? {
            self.order.push(member.role());
            let name = member.name().clone();
            match member.role() {
                Role::Descriptor => {
                    let bytes = member.read_all()?;
                    self.give(&name, &bytes)?;
                    self.expect(&name, &bytes);
                    self.descriptor = Some(Text { name, bytes });
                }
                Role::Manifest => {
                    let bytes = member.read_all()?;
                    self.give(&name, &bytes)?;
                    let manifest = self.read_manifest(&name, &bytes);
                    self.manifest = Some((Text { name, bytes }, manifest));
                }
                Role::Certificate => {
                    let bytes = member.read_all()?;
                    self.give(&name, &bytes)?;
                    self.certificate = Some(Text { name, bytes });
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

    /// Hands a member that is kept anyway to the taker.
    fn give(&mut self, name: &MemberName, mut bytes: &[u8]) -> Result<(), Error> {
        let size = bytes.len() as u64;
        match &mut self.taker {
            Some(taker) => taken(taker.take(name, size, &mut bytes), name),
            None => Ok(()),
        }
    }

    fn digest(&mut self, member: &mut Member<'_>, buffer: &mut [u8]) -> Result<Seen, Error> {
        let name = member.name().clone();
        let (declared, algorithms) = (member.size(), self.algorithms(&name));
        let known = self.known.and_then(|known| known.get(&name));
        if let Some(known) = known.filter(|known| algorithms == [known.algorithm()]) {
            return Ok(Seen {
                name,
                size: declared,
                digests: vec![known.clone()],
            });
        }
        let mut digested = Digested {
            member,
            digesters: algorithms.into_iter().map(Digester::new).collect(),
            size: 0,
        };
        if let Some(taker) = &mut self.taker {
            taken(taker.take(&name, declared, &mut digested), &name)?;
        }
        loop {
            match digested.read(buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("reading", error).in_member(&name)),
            }
        }
        let digests = digested.digesters.into_iter().map(Digester::finish).collect();
        Ok(Seen {
            name,
            size: digested.size,
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

/// A member whose bytes are digested as they are read.
struct Digested<'m, 's> {
    member: &'m mut Member<'s>,
    digesters: Vec<Digester>,
    size: u64,
}

impl Read for Digested<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.member.read(buffer)?;
        for digester in &mut self.digesters {
            digester.update(&buffer[..read]);
        }
        self.size += read as u64;
        Ok(read)
    }
}

fn taken(result: std::io::Result<()>, name: &MemberName) -> Result<(), Error> {
    result.map_err(|error| Error::io("taking the member", error).in_member(name))
}
