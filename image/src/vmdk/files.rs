//! VMDKs of several files: a descriptor with its extents beside it, a delta over its parents.
//!
//! | a descriptor's attack | what stops it |
//! |---|---|
//! | an extent named with a path, or a symbolic link | plain names only, opened in the folder without following links |
//! | an extent that is a pipe or a device | regular files only, opened without waiting |
//! | a parent anywhere, by path or by link | it lies in the folder that the caller allows, or it is not opened; without such a folder none is |
//! | a ring of parents, or no end of them | each path once, at most 32 |
//! | a parent exchanged since | its CID has to be the delta's `parentCID` |

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use super::descriptor::FILE_LIMIT;
use super::{CAPACITY_LIMIT, Descriptor, Disk};
use crate::error::{Error, Kind, Place, Result};
use crate::folder::Folder;
use crate::source::{RawFile, Source, length, read};

const CHAIN_LIMIT: usize = 32;

/// What opening a VMDK may lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The largest disk expected, in bytes.
    pub capacity_limit: u64,
    /// The folder that parents of delta disks may lie in, at any depth; without one, deltas are refused.
    pub parents: Option<PathBuf>,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            capacity_limit: CAPACITY_LIMIT,
            parents: None,
        }
    }
}

impl Disk<RawFile> {
    /// Opens a VMDK of any kind by its path: one sparse file, or a descriptor with its extents in the same folder; with
    /// its parents if it is a delta.
    ///
    /// # Errors
    /// As [`Disk::open`], at the file; [`Kind::Io`] for what cannot be opened; [`Kind::Invalid`] for names that lead out
    /// of the folder and for what is no regular file; [`Kind::Unsupported`] for a delta whose parent may not be opened;
    /// [`Kind::Overlap`] for extents that share bytes and parents in a ring; [`Kind::Ceiling`] for more than 32 disks over
    /// each other; [`Kind::Differs`] for a parent with another CID.
    pub fn open_path(path: &Path, opening: &Opening) -> Result<Self> {
        let (file, path) = found(path)?;
        Self::open_file(file, path, opening)
    }

    /// As [`Disk::open_path`], of a file that was opened by its real path.
    pub(crate) fn open_file(mut file: File, mut path: PathBuf, opening: &Opening) -> Result<Self> {
        let folder = opening.parents.as_deref().map(Folder::open).transpose()?;
        let mut chain: Vec<(PathBuf, Self)> = Vec::new();
        loop {
            let place = || Place::File(path.display().to_string());
            let refuse = |kind, reason| Err(Error::new(kind, place(), reason));
            if chain.iter().any(|(known, _)| *known == path) {
                return refuse(Kind::Overlap, "a VMDK is its own parent");
            }
            if chain.len() >= CHAIN_LIMIT {
                return refuse(Kind::Ceiling, "more than 32 VMDKs lie over each other");
            }
            let disk = alone(file, &path, opening.capacity_limit).map_err(|e| e.at(place()))?;
            let parent = match (&disk.descriptor().parent, &folder) {
                (None, _) => None,
                (Some(parent), Some(folder)) => {
                    Some(folder.beside(&path, &parent.hint).map_err(|e| e.at(place()))?)
                }
                (Some(parent), None) => {
                    let reason = format!(
                        "the image needs the file `{}`, and none may be opened",
                        parent.hint.escape_debug()
                    );
                    return Err(Error::new(Kind::Unsupported, place(), reason));
                }
            };
            chain.push((std::mem::take(&mut path), disk));
            match parent {
                Some(parent) => (file, path) = parent,
                None => break,
            }
        }
        let mut disks = chain.into_iter().rev();
        let (_, base) = disks.next().expect("the loop has opened one disk");
        disks.try_fold(base, |parent, (path, delta)| {
            delta
                .over(parent)
                .map_err(|e| e.at(Place::File(path.display().to_string())))
        })
    }
}

/// The proof of the structure of the VMDK at `path`, its extents included; of a delta, without its parents.
pub(crate) fn check_path(path: &Path, capacity_limit: u64) -> Result<Vec<Error>> {
    let (file, path) = found(path)?;
    let disk = alone(file, &path, capacity_limit);
    disk.and_then(|disk| disk.check())
        .map_err(|e| e.at(Place::File(path.display().to_string())))
}

/// The file at `path` and its real path: a link there was put there since.
fn found(path: &Path) -> Result<(File, PathBuf)> {
    let path = real(path)?;
    Ok((open(CWD, &path, OFlags::NOFOLLOW)?, path))
}

/// A disk without its parent.
fn alone(file: File, path: &Path, capacity_limit: u64) -> Result<Disk<RawFile>> {
    let file = regular(file)?;
    let head = read(&file, 0, length(file.size().min(32)))?;
    if !Descriptor::begins(&head) {
        return Disk::embedded(file, capacity_limit);
    }
    if file.size() > FILE_LIMIT {
        let reason = "a VMDK descriptor of more than 1 MiB";
        return Err(Error::new(Kind::Ceiling, Place::Whole, reason));
    }
    let descriptor = Descriptor::parse(&read(&file, 0, length(file.size()))?)?;
    let folder = open(CWD, &folder_of(path), OFlags::DIRECTORY)?;
    Disk::assembled(descriptor, capacity_limit, &|name| {
        plain(name)
            .and_then(|()| open(&folder, Path::new(name), OFlags::NOFOLLOW))
            .and_then(regular)
            .map_err(|e| e.at(Place::File(name.to_owned())))
    })
}

/// A name that stays in its folder on any system.
fn plain(name: &str) -> Result<()> {
    let special = |c: char| matches!(c, '/' | '\\' | ':') || c.is_control();
    if name.is_empty() || name.len() > 255 || name == "." || name == ".." || name.contains(special) {
        let reason = "a VMDK's extent is a file in the same folder, named without a path";
        return Err(Error::invalid(Place::Whole, reason));
    }
    Ok(())
}

/// Opens for reading; a pipe is not waited for.
fn open(folder: impl std::os::fd::AsFd, path: &Path, flags: OFlags) -> Result<File> {
    let flags = flags | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(folder, path, flags, Mode::empty())
        .map(File::from)
        .map_err(|e| Error::io(Place::Whole, "open", e.into()))
}

fn regular(file: File) -> Result<RawFile> {
    let kind = file
        .metadata()
        .map_err(|e| Error::io(Place::Whole, "look at", e))?;
    if !kind.is_file() {
        return Err(Error::invalid(Place::Whole, "a VMDK is made of regular files"));
    }
    RawFile::new(file)
}

fn real(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .map_err(|e| Error::io(Place::File(path.display().to_string()), "find", e))
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}
