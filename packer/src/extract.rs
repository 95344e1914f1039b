//! Members and disks out of a package, in the pass that verifies it.
//!
//! What is written has no name until the verdict is known: [`Extraction::commit`] gives the names, and dropping it leaves
//! nothing behind.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use image::convert::Options;
use image::error::{Kind, Place};
use image::vmdk::CAPACITY_LIMIT;
use ovf::descriptor::{Compression, Descriptor, SavedState};
use ovf::package::MemberName;
use ovf::verify::{Policy, Taker};

use crate::error::{Error, Result};
use crate::opened::Opened;
use crate::output::Output;
use crate::section::Section;
use crate::unfinished::Unfinished;

/// What is wanted of a package.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Every member, under its own name in this folder.
    Members(PathBuf),
    /// One disk.
    Disk {
        /// Its number from 1, in the descriptor's order, or its id.
        which: String,
        /// What it becomes; the member that it is, if nothing.
        options: Option<Options>,
        /// The file.
        output: PathBuf,
    },
}

/// What was taken so far.
pub struct Extraction {
    wanted: Wanted,
    /// The member of the wanted disk and its capacity in bytes, once the descriptor was read.
    disk: Option<(String, u64)>,
    outputs: Vec<Taken>,
    failure: Option<Error>,
}

struct Taken {
    output: Output,
    path: PathBuf,
    bytes: u64,
}

/// A file that was made.
#[derive(Debug, Clone)]
pub struct Extracted {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The first bytes of a VMDK.
const MAGIC: &[u8] = b"KDMV";

/// The bytes of a member that the package's reader has kept below its ceiling.
fn whole(bytes: &mut dyn Read, path: &Path) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    bytes.read_to_end(&mut all).map_err(Error::io(path, "read"))?;
    Ok(all)
}

/// The member that holds a disk, by its number from 1 or its id, and the disk's capacity in bytes.
fn disk_of(descriptor: &Descriptor, which: &str) -> Result<(String, u64)> {
    let by_number = which
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    let disk = descriptor
        .disk(which)
        .or_else(|| descriptor.disks.get(by_number?));
    let disk = disk.ok_or_else(|| {
        let ids: Vec<_> = descriptor.disks.iter().map(|disk| disk.id.as_str()).collect();
        Error::Usage(format!(
            "the package has no disk '{which}', but {}",
            ids.join(", ")
        ))
    })?;
    let file = disk.file_ref.as_deref().and_then(|id| descriptor.file(id));
    let file = file.ok_or_else(|| Error::Refused(format!("disk '{which}' has no file: it begins empty")))?;
    if file.compression != Compression::None || file.chunk_size.is_some() {
        let reason =
            format!("disk '{which}' is compressed or in chunks as a file: extract the members instead");
        return Err(Error::Refused(reason));
    }
    let capacity = disk.capacity_in_bytes()?.unwrap_or(CAPACITY_LIMIT);
    Ok((file.href.clone(), capacity))
}

/// A disk of a package that was judged, where it lies: its member's bytes, and its capacity in bytes. For disks that cannot
/// be read front to back.
///
/// # Errors
/// The package has no such disk, or cannot be read.
pub fn place(
    package: &Opened,
    descriptor: &Descriptor,
    which: &str,
    policy: &Policy,
) -> Result<(Section, u64)> {
    let (member, capacity) = disk_of(descriptor, which)?;
    Ok((package.section(&member, policy)?, capacity))
}

/// As [`place`], for the image that holds a saved state: its member's bytes, and what they are at most when inflated.
///
/// # Errors
/// The package has no such file.
pub fn place_state(
    package: &Opened,
    descriptor: &Descriptor,
    state: &SavedState,
    policy: &Policy,
) -> Result<(Section, u64)> {
    let file = descriptor.file(&state.file_ref);
    let file = file.ok_or_else(|| Error::Refused(format!("the package has no file '{}'", state.file_ref)))?;
    if file.compression != Compression::None || file.chunk_size.is_some() {
        let reason = "the saved state is compressed or in chunks as a file, which can't be read";
        return Err(Error::Refused(reason.to_owned()));
    }
    if state.length > CAPACITY_LIMIT {
        return Err(Error::Refused("the saved state is longer than any".to_owned()));
    }
    // The image is of whole grains.
    Ok((
        package.section(&file.href, policy)?,
        state.length.next_multiple_of(1 << 20),
    ))
}

impl Extraction {
    /// Takes nothing yet.
    #[must_use]
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            disk: None,
            outputs: Vec::new(),
            failure: None,
        }
    }

    /// Gives what was taken its names. To be called on a good verdict only.
    ///
    /// # Errors
    /// The disk that was wanted is not in the package; a name cannot be given.
    pub fn commit(mut self) -> Result<Vec<Extracted>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.outputs.is_empty() {
            return Err(Error::Refused("the disk's file is not in the package".to_owned()));
        }
        // What takes time and what may fail for want of room comes before the first name.
        for taken in &self.outputs {
            taken.output.sync()?;
        }
        let (mut named, mut extracted) = (Vec::new(), Vec::new());
        for taken in self.outputs.drain(..) {
            if let Some(new) = taken.output.new_folder() {
                named.push(Unfinished::of(new));
            }
            if !taken.path.exists() {
                named.push(Unfinished::of(taken.path.clone()));
            }
            taken.output.commit()?;
            extracted.push(Extracted {
                path: taken.path,
                bytes: taken.bytes,
            });
        }
        named.into_iter().for_each(Unfinished::keep);
        Ok(extracted)
    }

    /// What went wrong with an output, of which the verdict tells only that it did.
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    fn take_one(&mut self, name: &MemberName, bytes: &mut dyn Read) -> Result<()> {
        let wanted = self.wanted.clone();
        let capacity = self.disk.as_ref().filter(|(member, _)| member == name.as_str());
        let capacity = capacity.map(|(_, capacity)| *capacity);
        match (wanted, capacity) {
            (Wanted::Members(folder), _) => self.copy(&name.under(&folder), bytes),
            (Wanted::Disk { which, .. }, _) if self.disk.is_none() && name.has_extension("ovf") => {
                let descriptor = Descriptor::parse(&whole(bytes, Path::new(name.as_str()))?)?;
                self.disk = Some(disk_of(&descriptor, &which)?);
                Ok(())
            }
            (Wanted::Disk { output, options, .. }, Some(capacity)) => match options {
                Some(options) => self.unpack(&output, bytes, capacity, &options),
                None => self.copy(&output, bytes),
            },
            _ => Ok(()),
        }
    }

    fn copy(&mut self, path: &Path, bytes: &mut dyn Read) -> Result<()> {
        let mut output = Output::create_deep(path)?;
        let length = io::copy(bytes, output.file()).map_err(Error::io(path, "write"))?;
        self.keep(output, path, length);
        Ok(())
    }

    /// A streamOptimized VMDK, inflated and written as it is read.
    fn unpack(&mut self, path: &Path, bytes: &mut dyn Read, capacity: u64, options: &Options) -> Result<()> {
        if capacity > options.target.capacity_limit() && capacity != CAPACITY_LIMIT {
            let reason = format!("a disk of {capacity} bytes does not fit the format that is wanted");
            return Err(Error::Usage(reason));
        }
        let mut head = Vec::new();
        let mut start = Read::take(&mut *bytes, MAGIC.len() as u64);
        start.read_to_end(&mut head).map_err(Error::io(path, "read"))?;
        if head != MAGIC {
            let reason = "the disk's file is no VMDK";
            return Err(image::error::Error::new(Kind::Unsupported, Place::Whole, reason).into());
        }
        let bytes = head.as_slice().chain(bytes);
        let mut output = Output::create_deep(path)?;
        image::extract(bytes, capacity, output.file(), options)?;
        let length = output.file().metadata();
        let length = length.map_err(Error::io(path, "measure"))?.len();
        self.keep(output, path, length);
        Ok(())
    }

    fn keep(&mut self, output: Output, path: &Path, bytes: u64) {
        self.outputs.push(Taken {
            output,
            path: path.to_owned(),
            bytes,
        });
    }
}

impl Taker for Extraction {
    fn take(&mut self, name: &MemberName, _size: u64, bytes: &mut dyn Read) -> io::Result<()> {
        if self.failure.is_some() {
            return Ok(());
        }
        if let Err(error) = self.take_one(name, bytes) {
            let words = error.to_string();
            self.failure = Some(error);
            return Err(io::Error::other(words));
        }
        Ok(())
    }
}
