//! Signing a package that is there already: its disks stay as they are, its manifest and certificate file are new.
//!
//! An archive is written anew in the standard's order, in constant memory, and takes its name when it is complete. A
//! folder gets its two files in place, or is copied whole.

mod archive;
mod command;
mod folder;
mod key;
mod survey;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ovf::certificate::Signer;
use ovf::manifest::{Digest, DigestAlgorithm};
use ovf::package::MemberName;

use crate::error::{Error, Result};
use survey::Survey;

pub use command::SignCommand;
pub use key::{command_signer, open_signer};

/// How a package is to be signed.
#[derive(Debug)]
pub struct Seal<'a> {
    /// Who signs, over [`Seal::digest`].
    pub signer: &'a Signer,
    /// The digest of the manifest's lines.
    pub digest: DigestAlgorithm,
    /// Whether a signature that is there may be replaced.
    pub replace: bool,
}

/// A package that was signed.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Where it is: an archive, or a folder's descriptor.
    pub package: PathBuf,
    /// What the manifest covers, in its order.
    pub covered: Vec<Covered>,
}

/// A member that a manifest covers.
#[derive(Debug, Clone)]
pub struct Covered {
    /// Its name.
    pub name: MemberName,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its digest.
    pub digest: Digest,
    /// Whether the manifest that was replaced tells another digest of it, where it tells one of the same algorithm.
    pub changed: bool,
}

impl Seal<'_> {
    /// Signs the package `input`, an archive or a folder's descriptor: in place, or as `output`. `progress` gets the bytes
    /// done and those to do, and may break it off.
    ///
    /// A folder becomes an archive where `output` ends in `.ova`, and a new folder elsewhere.
    ///
    /// # Errors
    /// [`Error::Refused`] for a package that is signed already, unless it may be replaced, or whose members are not what
    /// its descriptor says; a failing disk or signer. The output is then not there, and what was there is as it was.
    pub fn apply(
        &self,
        input: &Path,
        output: Option<&Path>,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<Signed> {
        let survey = Survey::of(input)?;
        if survey.signed && !self.replace {
            return Err(Error::Refused(format!(
                "{}: is signed already; --replace puts another signature in its place",
                input.display()
            )));
        }
        let mut pass = Pass {
            seal: self,
            survey: &survey,
            done: 0,
            progress,
        };
        let is_archive = |path: &Path| {
            path.extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("ova"))
        };
        let mut signed = match output {
            None if survey.folder.is_some() => folder::in_place(&mut pass, input),
            None => {
                // A link's target is replaced, not the link.
                let target = input.canonicalize().map_err(Error::io(input, "resolve"))?;
                archive::write(&mut pass, &target)
            }
            Some(output) if survey.folder.is_none() || is_archive(output) => {
                archive::write(&mut pass, output)
            }
            Some(output) => folder::copy(&mut pass, output),
        }?;
        if output.is_none() {
            signed.package = input.to_owned();
        }
        Ok(signed)
    }
}

/// One pass over a package's files.
struct Pass<'a, 'p> {
    seal: &'a Seal<'a>,
    survey: &'a Survey,
    done: u64,
    progress: &'p mut dyn FnMut(u64, u64) -> ControlFlow<()>,
}

/// How much is copied at a time.
const PIECE: usize = 256 << 10;

impl Pass<'_, '_> {
    /// Copies a file's bytes, which must be as many as were seen before.
    fn copy(&mut self, at: usize, out: &mut dyn std::io::Write) -> Result<()> {
        let file = &self.survey.files[at];
        let mut from = self.survey.open(file)?;
        let (mut left, mut piece) = (file.size, vec![0; PIECE]);
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let read = match from.read(&mut piece[..wanted]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                outcome => outcome.map_err(Error::io(Path::new(file.name.as_str()), "read"))?,
            };
            if read == 0 {
                return Err(Error::Refused(format!(
                    "{}: became shorter while it was read",
                    file.name
                )));
            }
            out.write_all(&piece[..read])
                .map_err(Error::io(Path::new(file.name.as_str()), "copy"))?;
            left -= read as u64;
            self.done += read as u64;
            if (self.progress)(self.done, self.survey.total()).is_break() {
                return Err(Error::Usage("interrupted; nothing was signed".to_owned()));
            }
        }
        Ok(())
    }

    fn covered(&self, name: MemberName, bytes: u64, digest: Digest) -> Covered {
        let old = self.survey.manifest.as_ref().and_then(|old| old.entry(&name));
        let changed =
            old.is_some_and(|entry| entry.digest.algorithm() == digest.algorithm() && entry.digest != digest);
        Covered {
            name,
            bytes,
            digest,
            changed,
        }
    }
}
