//! A package whose files can be read in any order.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

use super::file::{FileReader, Limits, Parts};
use super::source::Backing;
use super::{MemberInfo, MemberName, Role, Source};
use crate::descriptor::{Descriptor, File};
use crate::error::{Error, Kind};

/// The members of a package by name, with their places: any file can be read, any number of times.
///
/// ```no_run
/// use ovf::package::{Index, Limits, Source};
///
/// let mut index = Index::read(Source::open("product.ova".as_ref())?)?;
/// let descriptor = index.descriptor().clone();
/// for file in &descriptor.files {
///     let limits = Limits::of(&descriptor, file)?;
///     std::io::copy(&mut index.file(file, &limits)?, &mut std::io::sink())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Nothing is verified: [`verify`](crate::verify::verify) does that, and comes first.
pub struct Index {
    backing: Backing,
    descriptor: Descriptor,
    members: Vec<MemberInfo>,
    places: HashMap<MemberName, usize>,
    /// The member that is being read.
    open: Open,
}

/// What is being read of a member.
enum Open {
    Nothing,
    /// So many bytes of the archive, from where it stands.
    Archive {
        left: u64,
    },
    File(io::Take<Box<dyn Read + Send>>),
}

impl Index {
    /// Walks over a package that stands at its beginning; of its members only the descriptor is read.
    ///
    /// # Errors
    /// [`Kind::PackageFormat`] for a stream, which can be read only once, and for a package without descriptor; those
    /// of [`Source::next_member`] and of [`Descriptor::parse`].
    pub fn read(mut source: Source) -> Result<Self, Error> {
        let descriptor = source.read_descriptor()?;
        source.put_back();
        let mut members = Vec::new();
        while let Some(info) = source.advance()? {
            members.push(info);
        }
        let backing = source.into_backing();
        let backing =
            backing.ok_or_else(|| Error::new(Kind::PackageFormat, "a stream can be read only in order"))?;
        let places = members
            .iter()
            .enumerate()
            .map(|(place, info)| (info.name.clone(), place))
            .collect();
        Ok(Index {
            backing,
            descriptor,
            members,
            places,
            open: Open::Nothing,
        })
    }

    /// The package's descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The members in the order of the archive; of a folder, those that the descriptor leads to.
    pub fn members(&self) -> &[MemberInfo] {
        &self.members
    }

    /// A file of the descriptor's References, as its bytes are before compression and chunks.
    ///
    /// # Errors
    /// As [`Source::file`].
    pub fn file(&mut self, file: &File, limits: &Limits) -> Result<FileReader<'_>, Error> {
        FileReader::new(self, file, limits)
    }

    fn open(&mut self, info: &MemberInfo) -> Result<(), Error> {
        match &mut self.backing {
            Backing::Archive(archive) => {
                archive
                    .seek(SeekFrom::Start(info.offset))
                    .map_err(|error| Error::io("reading the archive", error).at_offset(info.offset))?;
                self.open = Open::Archive { left: info.size };
            }
            Backing::Folder(folder) => {
                let file = folder.open(&info.name)?;
                let file = file.filter(|file| file.size == info.size).ok_or_else(|| {
                    Error::new(
                        Kind::PackageChanged,
                        "the file is not what it was when it was listed",
                    )
                })?;
                self.open = Open::File(file.body.take(info.size));
            }
        }
        Ok(())
    }
}

impl Parts for Index {
    fn go_to(&mut self, name: &MemberName) -> Result<Option<MemberInfo>, Error> {
        let place = self.places.get(name).and_then(|place| self.members.get(*place));
        let Some(info) = place.filter(|info| info.role == Role::File).cloned() else {
            return Ok(None);
        };
        self.open(&info).map_err(|error| error.in_member(name))?;
        Ok(Some(info))
    }

    fn read_part(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (&mut self.open, &mut self.backing) {
            (Open::Archive { left }, Backing::Archive(archive)) => {
                let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                let read = archive.read(&mut buffer[..wanted])?;
                *left -= read as u64;
                Ok(read)
            }
            (Open::File(body), _) => body.read(buffer),
            _ => Ok(0),
        }
    }
}
