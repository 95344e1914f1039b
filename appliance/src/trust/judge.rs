//! The judgement on a package whose files are here.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use ovf::Error as OvfError;
use ovf::descriptor::Descriptor;
use ovf::manifest::{Digest as Known, DigestAlgorithm};
use ovf::package::{Folder, FolderFile, MemberName, Role, Source};
use ovf::verify::{digests_named, verify_knowing};
use serde_json::{Value, json};

use super::InForce;
use crate::catalog::Label;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};

/// The most checks of a verdict that are kept, and bytes of a reason.
const CHECKS: usize = 100;
const REASON: usize = 500;

/// A file of a package.
pub struct Part {
    /// Its name.
    pub name: MemberName,
    /// Its length.
    pub bytes: u64,
    /// Its digest: of what was digested as it was written, or of what is to come.
    pub digest: Digest,
    /// Itself, open; none as long as it is only promised.
    pub file: Option<File>,
}

/// Files of a package.
pub struct Package(Vec<Part>);

impl Package {
    /// Takes them.
    pub fn new(parts: Vec<Part>) -> Self {
        Self(parts)
    }

    /// The file that the package is read from: its archive, or its descriptor.
    ///
    /// # Errors
    /// [`Kind::Malformed`], with what is missing.
    pub fn main<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<MemberName> {
        let wrong = |reason: &str| Error::new(Kind::Malformed, "the package", reason);
        let names: Vec<_> = names
            .into_iter()
            .filter_map(|name| MemberName::parse(name).ok())
            .collect();
        let of = |extension: &str| {
            names
                .iter()
                .filter(|name| name.has_extension(extension))
                .collect::<Vec<_>>()
        };
        match (of("ova").as_slice(), of("ovf").as_slice(), names.len()) {
            ([archive], [], 1) => Ok((*archive).clone()),
            ([], [descriptor], _) => Ok((*descriptor).clone()),
            _ => Err(wrong("is neither one .ova nor one .ovf with its files")),
        }
    }

    fn source(&self) -> Result<Source> {
        let main = Self::main(self.0.iter().map(|part| part.name.as_str()))?;
        let failed = |error| Error::new(Kind::Io, "the package", "cannot be read").because(error);
        if main.has_extension("ova")
            && let Some(file) = self.0.first().and_then(|part| part.file.as_ref())
        {
            let file = file.try_clone().map_err(failed)?;
            return Ok(Source::seekable(FromStart { file, place: 0 }));
        }
        let files = self.0.iter().map(|part| {
            let file = part.file.as_ref().map(File::try_clone).transpose()?;
            Ok((part.name.clone(), part.bytes, file))
        });
        let files = files.collect::<std::io::Result<_>>().map_err(failed)?;
        Ok(Source::folder(Files(files), main))
    }

    /// Whether all of its files are side by side, and not members of an archive.
    pub(super) fn is_folder(&self) -> bool {
        self.0.iter().all(|part| !part.name.has_extension("ova"))
    }

    fn known(&self) -> HashMap<MemberName, Known> {
        let known = |part: &Part| {
            let digest = Known::from_hex(DigestAlgorithm::Sha256, &part.digest.to_string()).ok()?;
            Some((part.name.clone(), digest))
        };
        match self.is_folder() {
            true => self.0.iter().filter_map(known).collect(),
            false => HashMap::new(),
        }
    }

    pub(super) fn digests(&self, policy: &ovf::verify::Policy) -> Result<Option<Vec<DigestAlgorithm>>> {
        let mut look = self.source()?;
        policy.tolerate_in(&mut look);
        Ok(digests_named(&mut look)
            .ok()
            .filter(|digests| !digests.is_empty()))
    }

    /// Judges it; what is not known by its digest is read, and it takes as long as that takes.
    fn verdict(&self, policy: &ovf::verify::Policy) -> Result<ovf::verify::Verdict> {
        let digests = self.digests(policy)?.unwrap_or_else(|| policy.digests());
        let mut source = self.source()?;
        policy.tolerate_in(&mut source);
        Ok(verify_knowing(&mut source, policy, &digests, &self.known()))
    }

    /// The product's own version, as the descriptor tells it: that of the first system's first product. Who judged the package
    /// knows that its publisher says so.
    ///
    /// # Errors
    /// It can't be read.
    pub fn release(&self) -> Result<Option<Label>> {
        let mut source = self.source()?;
        while let Ok(Some(mut member)) = source.next_member() {
            if member.role() != Role::Descriptor {
                continue;
            }
            let bytes = member.read_all();
            let descriptor = bytes.and_then(|bytes| Descriptor::parse(&bytes));
            let Ok(descriptor) = descriptor else {
                return Ok(None);
            };
            let systems = descriptor.content.systems();
            let product = systems.iter().find_map(|system| system.products.first());
            let told =
                product.and_then(|product| product.full_version.clone().or_else(|| product.version.clone()));
            return Ok(told.and_then(|told| Label::try_from(told).ok()));
        }
        Ok(None)
    }
}

/// Judges a package: whether it may be published, and why, or why not.
///
/// # Errors
/// Its files can't be read: that says nothing about the package.
pub fn judge(package: &Package, policy: &InForce) -> Result<(bool, Value)> {
    if let Some(refused) = policy.refuses_everything() {
        return Ok((false, refused));
    }
    let verdict = package.verdict(&policy.policy)?;
    if let Some(unread) = verdict
        .failures()
        .find(|check| check.code == ovf::Kind::Io.code())
    {
        return Err(Error::new(Kind::Io, "the package", unread.reason.clone()));
    }
    Ok((verdict.is_accepted(), told(&verdict)))
}

/// What is kept of a verdict: what failed first, and no more than somebody reads.
pub(super) fn told(verdict: &ovf::verify::Verdict) -> Value {
    let others = verdict
        .checks()
        .iter()
        .filter(|check| check.outcome != ovf::verify::Outcome::Failed);
    let mut checks: Vec<_> = verdict.failures().chain(others).take(CHECKS).cloned().collect();
    for check in &mut checks {
        let end = check.reason.floor_char_boundary(REASON);
        check.reason.truncate(end);
    }
    let mut told = json!({
        "accepted": verdict.is_accepted(),
        "checks": checks,
        "tolerated": verdict.tolerated(),
    });
    if let Some(signer) = verdict.signer() {
        told["signer"] = json!(signer);
    }
    let omitted = verdict.checks().len().saturating_sub(CHECKS);
    if omitted > 0 {
        told["omitted"] = omitted.into();
    }
    told
}

/// A verdict that something else than the package's contents gave.
pub fn refusal(code: &str, reason: &str) -> Value {
    json!({ "accepted": false, "checks": [{ "code": code, "outcome": "failed", "reason": reason }] })
}

/// Files side by side, wherever they are kept.
struct Files(Vec<(MemberName, u64, Option<File>)>);

impl Folder for Files {
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, OvfError> {
        let Some((_, size, file)) = self.0.iter().find(|(own, ..)| own == name) else {
            return Ok(None);
        };
        let body: Box<dyn Read + Send> = match file {
            Some(file) => {
                let file = file
                    .try_clone()
                    .map_err(|error| OvfError::new(ovf::Kind::Io, "opening the file").caused_by(error))?;
                Box::new(FromStart { file, place: 0 })
            }
            // It is known by its digest.
            None => Box::new(std::io::empty()),
        };
        Ok(Some(FolderFile { size: *size, body }))
    }
}

/// A file read from its beginning, whoever else reads it: clones of a file share one place.
struct FromStart {
    file: File,
    place: u64,
}

impl Seek for FromStart {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::Current(by) => self.place.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.place = place.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.place)
    }
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        use std::os::unix::fs::FileExt as _;
        let read = self.file.read_at(buffer, self.place)?;
        self.place += read as u64;
        Ok(read)
    }
}
