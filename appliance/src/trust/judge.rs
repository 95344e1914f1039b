//! The judgement on a package whose files are here.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use ovf::Error as OvfError;
use ovf::package::{Folder, FolderFile, MemberName, Source};
use ovf::verify::{Policy, digests_named, verify_with};
use serde_json::{Value, json};

use crate::error::{Error, Kind, Result};

/// The most checks of a verdict that are kept, and bytes of a reason.
const CHECKS: usize = 100;
const REASON: usize = 500;

/// Files of a package, open, with their names and lengths.
pub struct Package(Vec<(MemberName, u64, File)>);

impl Package {
    /// Takes them.
    pub fn new(files: Vec<(MemberName, u64, File)>) -> Self {
        Self(files)
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
        let main = Self::main(self.0.iter().map(|(name, ..)| name.as_str()))?;
        let failed = |error| Error::new(Kind::Io, "the package", "cannot be read").because(error);
        if main.has_extension("ova")
            && let Some((_, _, file)) = self.0.first()
        {
            let file = file.try_clone().map_err(failed)?;
            return Ok(Source::seekable(FromStart { file, place: 0 }));
        }
        let files = self
            .0
            .iter()
            .map(|(name, bytes, file)| Ok((name.clone(), *bytes, file.try_clone()?)));
        let files = files.collect::<std::io::Result<_>>().map_err(failed)?;
        Ok(Source::folder(Files(files), main))
    }

    /// Reads all of it, and judges it; it takes as long as that takes.
    fn verdict(&self, policy: &Policy) -> Result<ovf::verify::Verdict> {
        let mut look = self.source()?;
        policy.tolerate_in(&mut look);
        let digests = digests_named(&mut look)
            .ok()
            .filter(|digests| !digests.is_empty());
        let mut source = self.source()?;
        policy.tolerate_in(&mut source);
        Ok(verify_with(
            &mut source,
            policy,
            &digests.unwrap_or_else(|| policy.digests()),
        ))
    }
}

/// Judges a package: whether it may be published, and why, or why not.
///
/// # Errors
/// Its files can't be read: that says nothing about the package.
pub fn judge(package: &Package, policy: &Policy, believes_nobody: bool) -> Result<(bool, Value)> {
    if believes_nobody {
        let reason = "the tenant has named no certificate that it believes, and its policy asks for a signer who leads to one";
        return Ok((false, refusal("trust.nobody", reason)));
    }
    let verdict = package.verdict(policy)?;
    if let Some(unread) = verdict
        .failures()
        .find(|check| check.code == ovf::Kind::Io.code())
    {
        return Err(Error::new(Kind::Io, "the package", unread.reason.clone()));
    }
    Ok((verdict.is_accepted(), told(&verdict)))
}

/// What is kept of a verdict: what failed first, and no more than somebody reads.
fn told(verdict: &ovf::verify::Verdict) -> Value {
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
struct Files(Vec<(MemberName, u64, File)>);

impl Folder for Files {
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, OvfError> {
        let Some((_, size, file)) = self.0.iter().find(|(own, ..)| own == name) else {
            return Ok(None);
        };
        let file = file
            .try_clone()
            .map_err(|error| OvfError::new(ovf::Kind::Io, "opening the file").caused_by(error))?;
        Ok(Some(FolderFile {
            size: *size,
            body: Box::new(FromStart { file, place: 0 }),
        }))
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
