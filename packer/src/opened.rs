//! A package of this machine, its files opened once: what is judged and what is read afterwards are the same files, whatever
//! names are given to others meanwhile.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use image::source::RawFile;
use ovf::descriptor::Descriptor;
use ovf::package::{Directory, Folder, FolderFile, MemberName, Source};
use ovf::verify::{Policy, Taker};

use crate::error::{Error, Result};
use crate::section::Section;

/// An archive, or a descriptor with the files beside it.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Archive(File),
    Folder(MemberName, Files),
}

/// The files of a folder that have been opened.
type Files = Arc<Mutex<HashMap<String, File>>>;

/// Files of a folder that are held open.
const HELD_LIMIT: usize = 256;

impl Opened {
    /// Opens the archive, or takes note of the descriptor's place.
    ///
    /// # Errors
    /// It is not there, or is no regular file.
    pub fn new(path: &Path) -> Result<Self> {
        if !path.metadata().map_err(Error::io(path, "open"))?.is_file() {
            let reason = format!("{}: this needs a regular file", path.display());
            return Err(Error::Usage(reason));
        }
        let is_descriptor = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("ovf"));
        let held = if is_descriptor {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Held::Folder(MemberName::parse(&name)?, Files::default())
        } else {
            Held::Archive(File::open(path).map_err(Error::io(path, "open"))?)
        };
        Ok(Self {
            path: path.to_owned(),
            held,
        })
    }

    /// The package at its beginning.
    ///
    /// # Errors
    /// The archive can't be rewound.
    pub fn source(&self) -> Result<Source> {
        Ok(match &self.held {
            Held::Archive(file) => {
                let mut file = self.clone_of(file)?;
                file.rewind().map_err(Error::io(&self.path, "rewind"))?;
                Source::seekable(file)
            }
            Held::Folder(descriptor, files) => {
                let folder = Kept {
                    directory: Directory::new(self.folder()),
                    files: Arc::clone(files),
                };
                Source::folder(folder, descriptor.clone())
            }
        })
    }

    /// A member's bytes where they lie, after [`Opened::source`] has been read to its end under the same policy.
    ///
    /// # Errors
    /// The package has no such member, or has it under other names or in more files than are held open.
    pub fn section(&self, member: &str, policy: &Policy) -> Result<Section> {
        let missing = || Error::Refused(format!("{member} is not in the package"));
        match &self.held {
            Held::Archive(file) => {
                let mut source = self.source()?;
                policy.tolerate_in(&mut source);
                while let Some(found) = source.next_member()? {
                    if found.name().as_str() == member {
                        let file = RawFile::new(self.clone_of(file)?)?;
                        return Ok(Section::new(file, found.offset(), found.size())?);
                    }
                }
                Err(missing())
            }
            Held::Folder(_, files) => {
                let files = files.lock().unwrap_or_else(PoisonError::into_inner);
                let file = RawFile::new(self.clone_of(files.get(member).ok_or_else(missing)?)?)?;
                let size = image::source::Source::size(&file);
                Ok(Section::new(file, 0, size)?)
            }
        }
    }

    fn clone_of(&self, file: &File) -> Result<File> {
        file.try_clone().map_err(Error::io(&self.path, "open again"))
    }

    fn folder(&self) -> PathBuf {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        }
    }
}

/// A folder whose files stay open.
struct Kept {
    directory: Directory,
    files: Files,
}

impl Folder for Kept {
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, ovf::Error> {
        let failed = |error| ovf::Error::new(ovf::Kind::Io, "opening the file").caused_by(error);
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match files.get(name.as_str()) {
            Some(file) => file.try_clone().map_err(failed)?,
            None => match self.directory.file(name)? {
                Some(file) => file,
                None => return Ok(None),
            },
        };
        if files.len() < HELD_LIMIT {
            files.insert(name.as_str().to_owned(), file.try_clone().map_err(failed)?);
        }
        let mut body = file;
        body.rewind().map_err(failed)?;
        Ok(Some(FolderFile {
            size: body.metadata().map_err(failed)?.len(),
            body: Box::new(body),
        }))
    }
}

/// Keeps the descriptor of a package as it is judged.
#[derive(Debug, Default)]
pub struct JudgedDescriptor(Option<Vec<u8>>);

impl Taker for JudgedDescriptor {
    fn take(&mut self, name: &MemberName, _: u64, bytes: &mut dyn Read) -> std::io::Result<()> {
        if self.0.is_none() && name.as_str().to_ascii_lowercase().ends_with(".ovf") {
            let mut descriptor = Vec::new();
            bytes.read_to_end(&mut descriptor)?;
            self.0 = Some(descriptor);
        }
        Ok(())
    }
}

impl JudgedDescriptor {
    /// The descriptor.
    ///
    /// # Errors
    /// There was none, or it is none.
    pub fn parse(&self) -> Result<Descriptor> {
        let bytes = self.0.as_deref().unwrap_or_default();
        Ok(Descriptor::parse(bytes)?)
    }
}
