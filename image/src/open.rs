//! A disk image of any format, opened as a raw disk with whatever lies beneath it.
//!
//! | attack | answer |
//! |---|---|
//! | an image that names `/etc/shadow`, `../..` or a link as the disk beneath it | only files inside the folder that the caller allows, reached without a link; none without such a folder |
//! | a name that is an address (`nbd:`, `json:`) | refused by name |
//! | a guest that writes another format's header into its raw disk | a disk beneath is opened as what the image above says it is; bytes are asked only where the caller allows it |
//! | a raw image by name with another format's bytes | refused until the caller says which it is |
//! | images that name each other in a ring, or a chain without end | each file once; a ceiling on depth |
//! | a pipe in place of an image, a device in place of one beneath | opened without waiting, and refused |
//!
//! ```no_run
//! let disk = image::open("disk.qcow2".as_ref(), &image::open::Options::default())?;
//! println!("{} of {} bytes", disk.description().format, disk.description().virtual_size);
//! # Ok::<(), image::error::Error>(())
//! ```

mod description;

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

pub use description::Description;

use crate::error::{Error, Kind, Place, Result};
use crate::finding::Findings;
use crate::folder::Folder;
use crate::format::Format;
use crate::source::{RawFile, Source};
use crate::{qcow2, vhd, vhdx, vmdk};

/// How images are opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The image's format, where the caller knows it. Without it the bytes tell; what they don't tell is raw only if the
    /// name ends in `.raw`, `.img` or `.dd`.
    pub format: Option<Format>,
    /// The largest disk in bytes that the caller expects: what a package's descriptor declared.
    pub capacity_limit: u64,
    /// The folder in which the files that an image names may lie, at any depth. Without one they are refused.
    pub folder: Option<PathBuf>,
    /// How many images may lie beneath the first.
    pub depth: usize,
    /// Take a disk beneath whose format isn't named as what its bytes tell. Whoever could write into a raw one decides
    /// then what it is.
    pub probe_backing: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: None,
            capacity_limit: qcow2::CAPACITY_LIMIT,
            folder: None,
            depth: 8,
            probe_backing: false,
        }
    }
}

impl Options {
    fn vmdk(&self, capacity_limit: u64) -> vmdk::Opening {
        vmdk::Opening {
            capacity_limit,
            parents: self.folder.clone(),
        }
    }
}

/// An open disk image: a raw disk, and what is known of it.
pub struct Disk {
    source: Box<dyn Source>,
    description: Description,
}

impl Disk {
    /// What is known of the image.
    pub fn description(&self) -> &Description {
        &self.description
    }
}

impl Source for Disk {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        self.source.next_data(from)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.source.read_at(offset, buffer)
    }

    fn reading_memory(&self) -> u64 {
        self.source.reading_memory()
    }

    fn settled(&self) -> Result<()> {
        self.source
            .settled()
            .map_err(|e| e.at(place(&self.description.path)))
    }
}

/// Opens the image at `path`, and what lies beneath it.
///
/// # Errors
/// [`Kind::Invalid`] for an image of no known format, or one whose name and bytes disagree; [`Kind::Unsupported`] for files
/// that an image names and that may not be opened; [`Kind::Ceiling`] for a chain too deep, [`Kind::Overlap`] for one in a
/// ring; else as the format's own `open`. The place is the file.
pub fn open(path: &Path, options: &Options) -> Result<Disk> {
    let folder = options.folder.as_deref().map(Folder::open).transpose()?;
    let mut chain = Chain {
        options,
        folder,
        seen: Vec::new(),
    };
    let (file, format) = identified(path, options)?;
    chain.open(file, path, format, options.capacity_limit)
}

/// The raw disk inside an image that is part of something larger, by what its bytes tell; what needs other files is refused.
///
/// # Errors
/// [`Kind::Unsupported`] for what is no image of a known format; else as the format's own `open`.
pub fn inside(image: impl Source + 'static, capacity_limit: u64) -> Result<Box<dyn Source>> {
    Ok(match Format::detect(&image)? {
        Some(Format::Qcow2) => {
            let alone = qcow2::Companions::default();
            Box::new(qcow2::Disk::open(image, capacity_limit, alone)?)
        }
        Some(Format::Vhdx) => Box::new(vhdx::Disk::open(image, capacity_limit)?),
        Some(Format::Vmdk) => Box::new(vmdk::Disk::open(image, capacity_limit)?),
        Some(Format::Vhd) => Box::new(vhd::Disk::open(image, capacity_limit)?),
        Some(Format::Raw) | None => {
            let reason = "no disk image of a known format";
            return Err(Error::new(Kind::Unsupported, Place::Whole, reason));
        }
    })
}

/// Proves the structure of the image at `path`; what lies beneath it isn't looked at.
///
/// # Errors
/// As [`open`]; and as the format's own `check`.
pub fn check(path: &Path, options: &Options) -> Result<Findings> {
    let (file, format) = identified(path, options)?;
    let file = raw(file, path)?;
    match format {
        Format::Raw => Ok(Findings::default()),
        Format::Qcow2 => qcow2::check(&file, options.capacity_limit),
        Format::Vhdx => vhdx::check(&file, options.capacity_limit),
        Format::Vmdk => vmdk::check_path(path, options.capacity_limit).map(Findings::of_errors),
        Format::Vhd => {
            let disk = vhd::Disk::open(file, options.capacity_limit);
            disk.map(|disk| Findings::of_errors(disk.check()))
        }
    }
    .map_err(|e| named(e, format, path))
}

/// An error with the image's path; those of a VMDK, which may be several files, have it.
fn named(error: Error, format: Format, path: &Path) -> Error {
    match format {
        Format::Vmdk => error,
        _ => error.at(place(path)),
    }
}

/// The images opened so far, from the first to the one that is being opened.
struct Chain<'a> {
    options: &'a Options,
    folder: Option<Folder>,
    /// Device and inode of each.
    seen: Vec<(u64, u64)>,
}

impl Chain<'_> {
    fn open(&mut self, file: File, path: &Path, format: Format, limit: u64) -> Result<Disk> {
        let known = file
            .metadata()
            .map_err(|e| Error::io(place(path), "look at", e))?;
        let identity = (known.dev(), known.ino());
        if self.seen.contains(&identity) {
            let reason = "images lie beneath each other in a ring";
            return Err(Error::new(Kind::Overlap, place(path), reason));
        }
        if self.seen.len() > self.options.depth {
            let reason = format!("more than {} images lie beneath the first", self.options.depth);
            return Err(Error::new(Kind::Ceiling, place(path), reason));
        }
        self.seen.push(identity);
        let file = raw(file, path)?;
        let mut description = Description::new(path, format, file.size(), known.blocks().saturating_mul(512));
        let source = self.format(file, limit, &mut description);
        let source = source.map_err(|e| named(e, format, path))?;
        description.virtual_size = source.size();
        Ok(Disk { source, description })
    }

    /// The one place where formats are plugged in. Those that name other files open them with [`Chain::beside`].
    fn format(&mut self, file: RawFile, limit: u64, about: &mut Description) -> Result<Box<dyn Source>> {
        match about.format {
            Format::Raw => {
                if file.size() > limit {
                    let reason = "the raw image is larger than the disk that was declared";
                    return Err(Error::new(Kind::Ceiling, Place::Whole, reason));
                }
                Ok(Box::new(file))
            }
            Format::Qcow2 => {
                let companions = self.companions(&qcow2::Header::read(&file)?, about)?;
                let disk = qcow2::Disk::open(file, limit, companions)?;
                about.qcow2(disk.header());
                Ok(Box::new(disk))
            }
            Format::Vhdx => {
                let disk = vhdx::Disk::open(file, limit)?;
                about.vhdx(disk.metadata());
                Ok(Box::new(disk))
            }
            Format::Vmdk => {
                let real = about.path.canonicalize();
                let real = real.map_err(|e| Error::io(place(&about.path), "find", e))?;
                let disk = vmdk::Disk::open_file(file.into_file(), real, &self.options.vmdk(limit))?;
                about.vmdk(disk.header(), disk.descriptor());
                Ok(Box::new(disk))
            }
            Format::Vhd => {
                let disk = vhd::Disk::open(file, limit)?;
                about.vhd(disk.footer());
                Ok(Box::new(disk))
            }
        }
    }

    fn companions(&mut self, header: &qcow2::Header, about: &mut Description) -> Result<qcow2::Companions> {
        let mut companions = qcow2::Companions::default();
        if let Some(name) = &header.data_file {
            let name = name.as_deref().ok_or_else(|| {
                let reason = "a QCOW2 image whose data file has no name";
                Error::new(Kind::Unsupported, Place::Whole, reason)
            })?;
            let (file, path) = self.beside(&about.path, name)?;
            companions.data_file = Some(Box::new(raw(file, &path)?));
            about.data_file = Some(path);
        }
        if let Some(backing) = &header.backing {
            let (file, path) = self.beside(&about.path, &backing.name)?;
            let format = match &backing.format {
                Some(name) => name.parse()?,
                None if self.options.probe_backing => {
                    Format::detect(&raw(reopened(&file)?, &path)?)?.unwrap_or(Format::Raw)
                }
                None => {
                    let reason = "the image does not say of which format the one beneath it is";
                    return Err(Error::new(Kind::Unsupported, Place::Whole, reason));
                }
            };
            let beneath = self.open(file, &path, format, qcow2::CAPACITY_LIMIT)?;
            about.backing = Some(Box::new(beneath.description));
            companions.backing = Some(beneath.source);
        }
        Ok(companions)
    }

    /// Opens the file that the image at `image` calls `name`.
    fn beside(&self, image: &Path, name: &str) -> Result<(File, PathBuf)> {
        let folder = self.folder.as_ref().ok_or_else(|| {
            let reason = format!(
                "the image needs the file `{}`, and none may be opened",
                name.escape_debug()
            );
            Error::new(Kind::Unsupported, Place::Whole, reason)
        })?;
        folder.beside(image, name)
    }
}

/// The file, and its format: the caller's word, the bytes', or the name's.
fn identified(path: &Path, options: &Options) -> Result<(File, Format)> {
    // A pipe would be waited for.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty());
    let file = File::from(file.map_err(|e| Error::io(place(path), "open", e.into()))?);
    if let Some(format) = options.format {
        return Ok((file, format));
    }
    let found = Format::detect(&raw(reopened(&file)?, path)?).map_err(|e| e.at(place(path)))?;
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or("");
    let refused = |reason: String| Err(Error::invalid(place(path), reason));
    match (found, extension.to_ascii_lowercase().as_str()) {
        (Some(found), "raw" | "dd") => refused(format!(
            "named as a raw image, and looks like {found}: say which it is"
        )),
        (Some(found), _) => Ok((file, found)),
        (None, "raw" | "img" | "dd") => Ok((file, Format::Raw)),
        (None, _) => refused("no disk image of a known format; a raw one has to be called that".into()),
    }
}

fn reopened(file: &File) -> Result<File> {
    file.try_clone()
        .map_err(|e| Error::io(Place::Whole, "open again", e))
}

fn raw(file: File, path: &Path) -> Result<RawFile> {
    RawFile::new(file).map_err(|e| e.at(place(path)))
}

fn place(path: &Path) -> Place {
    Place::File(path.display().to_string())
}

#[cfg(test)]
mod tests;
