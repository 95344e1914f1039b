//! A package to read, whatever it comes as.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use super::folder::{self, Directory, Folder};
use super::ova::{Reader, Tolerances};
use super::{Member, MemberInfo, MemberName, Role};
use crate::descriptor::Descriptor;
use crate::error::{Error, Kind};

/// A package: an OVA that can be read at any place, an OVA as a stream, or a folder.
pub struct Source {
    inner: Inner,
    /// The member that the source stands at.
    current: Option<MemberInfo>,
    /// Whether that member is to be given once more.
    again: bool,
    observer: Option<Observer>,
}

/// Who is told of bytes as they are read.
pub(super) type Observer = Box<dyn FnMut(u64) + Send>;

enum Inner {
    Seekable(Reader<Box<dyn ReadSeek>>),
    Stream(Reader<Box<dyn Read + Send>>),
    Folder(folder::Reader),
}

/// Bytes that can be read at any place.
pub(super) trait ReadSeek: Read + Seek + Send {}

impl<R: Read + Seek + Send> ReadSeek for R {}

/// What a package's files can be read from in any order.
pub(super) enum Backing {
    Archive(Box<dyn ReadSeek>),
    Folder(Box<dyn Folder + Send>),
}

impl Inner {
    fn body(&mut self) -> &mut dyn Read {
        match self {
            Self::Seekable(reader) => reader.body(),
            Self::Stream(reader) => reader.body(),
            Self::Folder(reader) => reader.body(),
        }
    }
}

impl Source {
    /// Opens a package: a descriptor (`.ovf`) with the files beside it, or an archive.
    ///
    /// # Errors
    /// [`Kind::Io`], [`Kind::MemberName`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !Self::is_descriptor(path) {
            let file = File::open(path)
                .map_err(|error| Error::io("opening the archive", error).in_member(path.display()))?;
            return Ok(Self::seekable(file));
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::new(Kind::MemberName, "the descriptor's name is not UTF-8"))?;
        let name = MemberName::parse(name)?;
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self::folder(Directory::new(folder), name))
    }

    /// Whether a path is a descriptor's, with files beside it, and no archive's: its name ends in `.ovf`.
    pub fn is_descriptor(path: &Path) -> bool {
        path.extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("ovf"))
    }

    /// Reads an OVA as it comes.
    pub fn stream(reader: impl Read + Send + 'static) -> Self {
        Self::new(Inner::Stream(Reader::new(Box::new(reader))))
    }

    /// Reads an OVA at any place: what nobody reads is jumped over.
    pub fn seekable(archive: impl Read + Seek + Send + 'static) -> Self {
        Self::new(Inner::Seekable(Reader::seekable(Box::new(archive))))
    }

    /// Reads the files that stand beside a descriptor.
    pub fn folder(folder: impl Folder + Send + 'static, descriptor: MemberName) -> Self {
        Self::new(Inner::Folder(folder::Reader::new(Box::new(folder), descriptor)))
    }

    fn new(inner: Inner) -> Self {
        Source {
            inner,
            current: None,
            again: false,
            observer: None,
        }
    }

    /// Tells `observer` of every piece of a member that is read through [`Member`]: its length in bytes.
    pub fn observe(&mut self, observer: impl FnMut(u64) + Send + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// Takes more zeros after an archive's end than fill its last record: [`Reader::tolerate_trailing_zeros`].
    pub fn tolerate_trailing_zeros(&mut self) {
        self.tolerate(|tolerances| tolerances.trailing_zeros = true);
    }

    /// Takes PAX headers for a member's path and size: [`Reader::tolerate_pax`].
    pub fn tolerate_pax(&mut self) {
        self.tolerate(|tolerances| tolerances.pax = true);
    }

    /// Takes GNU tar's long names: [`Reader::tolerate_long_names`].
    pub fn tolerate_long_names(&mut self) {
        self.tolerate(|tolerances| tolerances.long_names = true);
    }

    fn tolerate(&mut self, set: impl FnOnce(&mut Tolerances)) {
        match &mut self.inner {
            Inner::Seekable(reader) => set(reader.tolerances()),
            Inner::Stream(reader) => set(reader.tolerances()),
            // A folder has no headers to disagree about.
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
        let info = self.advance()?;
        let (body, observer) = (self.inner.body(), self.observer.as_mut());
        Ok(info.map(|info| Member { info, body, observer }))
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

    /// Goes to the next member, whose bytes [`Source::body`] then reads.
    pub(super) fn advance(&mut self) -> Result<Option<MemberInfo>, Error> {
        if !std::mem::take(&mut self.again) {
            self.current = match &mut self.inner {
                Inner::Seekable(reader) => reader.advance(),
                Inner::Stream(reader) => reader.advance(),
                Inner::Folder(reader) => reader.advance(),
            }?;
        }
        Ok(self.current.clone())
    }

    /// Gives the member that the source stands at once more, without the bytes that were read of it.
    pub(super) fn put_back(&mut self) {
        self.again = self.current.is_some();
    }

    /// What is left of the member that the source stands at.
    pub(super) fn body(&mut self) -> &mut dyn Read {
        self.inner.body()
    }

    /// What the package is read from, if that can be read again.
    pub(super) fn into_backing(self) -> Option<Backing> {
        match self.inner {
            Inner::Seekable(reader) => Some(Backing::Archive(reader.into_inner())),
            Inner::Stream(_) => None,
            Inner::Folder(reader) => Some(Backing::Folder(reader.into_inner())),
        }
    }
}
