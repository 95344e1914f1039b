//! A package to read, whatever it comes as.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::folder;
use super::ova::Reader;
use super::{Member, Role};
use crate::descriptor::Descriptor;
use crate::error::{Error, Kind};

/// A package: an OVA file, an OVA stream, or a folder.
pub struct Source {
    inner: Inner,
}

enum Inner {
    File(Reader<File>),
    Stream(Reader<Box<dyn Read + Send>>),
    Folder(folder::Reader),
}

impl Source {
    /// Opens a package: a descriptor (`.ovf`) with the files beside it, or an archive.
    ///
    /// # Errors
    /// [`Kind::Io`], [`Kind::MemberName`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let is_descriptor = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("ovf"));
        let inner = if is_descriptor {
            Inner::Folder(folder::Reader::open(path)?)
        } else {
            let file = File::open(path)
                .map_err(|error| Error::io("opening the archive", error).in_member(path.display()))?;
            Inner::File(Reader::seekable(file))
        };
        Ok(Source { inner })
    }

    /// Reads an OVA as it comes.
    pub fn stream(reader: impl Read + Send + 'static) -> Self {
        Source {
            inner: Inner::Stream(Reader::new(Box::new(reader))),
        }
    }

    /// Takes more zeros after an archive's end than fill its last record: [`Reader::tolerate_trailing_zeros`].
    pub fn tolerate_trailing_zeros(&mut self) {
        match &mut self.inner {
            Inner::File(reader) => reader.tolerate_trailing_zeros(),
            Inner::Stream(reader) => reader.tolerate_trailing_zeros(),
            Inner::Folder(_) => {}
        }
    }

    /// Whether every member is one that the package's author put there: true of an archive, not of a folder.
    pub fn is_archive(&self) -> bool {
        !matches!(self.inner, Inner::Folder(_))
    }

    /// The next member; see [`Reader::next_member`].
    ///
    /// # Errors
    /// As [`Reader::next_member`].
    pub fn next_member(&mut self) -> Result<Option<Member<'_>>, Error> {
        match &mut self.inner {
            Inner::File(reader) => reader.next_member(),
            Inner::Stream(reader) => reader.next_member(),
            Inner::Folder(reader) => reader.next_member(),
        }
    }

    /// The descriptor alone: the first member, read and parsed.
    ///
    /// # Errors
    /// Those of reading and of [`Descriptor::parse`], the member named.
    pub fn read_descriptor(&mut self) -> Result<Descriptor, Error> {
        match self.next_member()? {
            Some(mut member) if member.role() == Role::Descriptor => {
                let bytes = member.read_all()?;
                Descriptor::parse(&bytes).map_err(|error| error.in_member(member.name()))
            }
            _ => Err(Error::new(
                Kind::PackageFormat,
                "the package does not begin with a descriptor",
            )),
        }
    }
}
