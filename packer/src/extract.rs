//! Members and disks out of a package, in the pass that verifies it.
//!
//! What is written has no name until the verdict is known: [`Extraction::commit`] gives the names, and dropping it leaves
//! nothing behind.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use image::vmdk;
use ovf::descriptor::{Compression, Descriptor};
use ovf::package::MemberName;
use ovf::verify::Taker;

use crate::build::cores;
use crate::error::{Error, Result};
use crate::output::Output;

/// What is wanted of a package.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Every member, under its own name in this folder.
    Members(PathBuf),
    /// One disk.
    Disk {
        /// Its number from 1, in the descriptor's order, or its id.
        which: String,
        /// Whether it is unpacked, or stays the member that it is.
        raw: bool,
        /// The file.
        output: PathBuf,
    },
    /// Nothing but to know where a disk is, by number or id.
    Place(String),
}

/// What was taken so far.
pub struct Extraction {
    wanted: Wanted,
    /// The member of the wanted disk and its capacity in bytes, once the descriptor was read.
    disk: Option<(String, u64)>,
    outputs: Vec<Taken>,
    /// Folders that were made, the outermost first.
    folders: Vec<PathBuf>,
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

fn is_descriptor(name: &MemberName) -> bool {
    name.as_str().to_ascii_lowercase().ends_with(".ovf")
}

/// The bytes of a member that the package's reader has kept below its ceiling.
fn whole(bytes: &mut dyn Read, path: &Path) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    bytes.read_to_end(&mut all).map_err(Error::io(path, "read"))?;
    Ok(all)
}

impl Extraction {
    /// Takes nothing yet.
    #[must_use]
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            disk: None,
            outputs: Vec::new(),
            folders: Vec::new(),
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
        let mut extracted = Vec::new();
        for taken in self.outputs.drain(..) {
            taken.output.commit()?;
            extracted.push(Extracted {
                path: taken.path,
                bytes: taken.bytes,
            });
        }
        Ok(extracted)
    }

    /// What went wrong with an output, of which the verdict tells only that it did.
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    fn descriptor(&mut self, bytes: &[u8], which: &str) -> Result<()> {
        let descriptor = Descriptor::parse(bytes)?;
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
        let file =
            file.ok_or_else(|| Error::Refused(format!("disk '{which}' has no file: it begins empty")))?;
        if file.compression != Compression::None || file.chunk_size.is_some() {
            let reason =
                format!("disk '{which}' is compressed or in chunks as a file: extract the members instead");
            return Err(Error::Refused(reason));
        }
        let capacity = disk.capacity_in_bytes()?.unwrap_or(vmdk::CAPACITY_LIMIT);
        self.disk = Some((file.href.clone(), capacity));
        Ok(())
    }

    fn take_one(&mut self, name: &MemberName, bytes: &mut dyn Read) -> Result<()> {
        let wanted = self.wanted.clone();
        match wanted {
            Wanted::Members(folder) => self.copy(&name.under(&folder), bytes),
            Wanted::Disk { which, raw, output } => match &self.disk {
                None if is_descriptor(name) => self.descriptor(&whole(bytes, &output)?, &which),
                Some((member, capacity)) if member == name.as_str() && raw => {
                    let capacity = *capacity;
                    self.unpack(&output, bytes, capacity)
                }
                Some((member, _)) if member == name.as_str() => self.copy(&output, bytes),
                _ => Ok(()),
            },
            Wanted::Place(which) if self.disk.is_none() && is_descriptor(name) => {
                self.descriptor(&whole(bytes, Path::new(name.as_str()))?, &which)
            }
            Wanted::Place(_) => Ok(()),
        }
    }

    /// The member of the disk that was wanted, and the disk's capacity in bytes.
    #[must_use]
    pub fn place(&self) -> Option<(&str, u64)> {
        self.disk
            .as_ref()
            .map(|(member, capacity)| (member.as_str(), *capacity))
    }

    fn copy(&mut self, path: &Path, bytes: &mut dyn Read) -> Result<()> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let new: Vec<_> = folder
                .ancestors()
                .take_while(|it| !it.as_os_str().is_empty() && !it.exists())
                .collect();
            self.folders.extend(new.into_iter().rev().map(Path::to_owned));
            std::fs::create_dir_all(folder).map_err(Error::io(folder, "make the folder"))?;
        }
        let mut output = Output::create(path)?;
        let length = io::copy(bytes, output.file()).map_err(Error::io(path, "write"))?;
        self.keep(output, path, length);
        Ok(())
    }

    /// A streamOptimized VMDK, inflated and written as it is read.
    fn unpack(&mut self, path: &Path, bytes: &mut dyn Read, capacity: u64) -> Result<()> {
        let mut output = Output::create(path)?;
        let file: &File = output.file();
        vmdk::extract(bytes, capacity, file, cores(), &mut |_| {})?;
        let length = output
            .file()
            .metadata()
            .map_err(Error::io(path, "measure"))?
            .len();
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

impl Drop for Extraction {
    /// A folder that nothing was put into goes again; one that holds something stays by itself.
    fn drop(&mut self) {
        for folder in self.folders.iter().rev() {
            let _ = std::fs::remove_dir(folder);
        }
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
