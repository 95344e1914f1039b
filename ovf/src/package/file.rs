//! A file of the References as one stream, whatever it is made of.
//!
//! What it stops: chunks that are missing, of the wrong size or without number; a gzip stream that is damaged, cut,
//! followed by something else, or that unpacks into more than it may.

mod gunzip;
mod joined;

use std::io::{self, Read};

use self::gunzip::Gunzip;
use self::joined::Joined;
use super::{MAX_CHUNKS, MAX_UNPACKED_BYTES, MemberInfo, MemberName, Role, Source};
use crate::descriptor::{Compression, Descriptor, File};
use crate::error::{Error, Kind, quoted};

/// How much a file may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes that are given, after decompression.
    pub bytes: u64,
    /// The most chunks.
    pub chunks: usize,
}

impl Limits {
    /// The limits of a file by what its descriptor says of it.
    ///
    /// A file without compression is as long as its members. A compressed one is at most as long as the disk that it
    /// holds, with room for a format's tables and for grains that do not compress: an eighth more, and 16 MiB. One that
    /// is no disk's, or a disk's whose capacity a property holds, has at most [`MAX_UNPACKED_BYTES`].
    ///
    /// # Errors
    /// Those of [`Disk::capacity_in_bytes`](crate::descriptor::Disk::capacity_in_bytes).
    pub fn of(descriptor: &Descriptor, file: &File) -> Result<Self, Error> {
        let unlimited = Limits::default();
        if file.compression == Compression::None {
            return Ok(unlimited);
        }
        let mut largest = None;
        let disks = descriptor.all_disks();
        for disk in disks.filter(|disk| disk.file_ref.as_deref() == Some(file.id.as_str())) {
            let limit = disk.capacity_in_bytes()?.map_or(MAX_UNPACKED_BYTES, |capacity| {
                capacity.saturating_add(capacity / 8).saturating_add(16 << 20)
            });
            largest = largest.max(Some(limit));
        }
        let bytes = largest.unwrap_or(MAX_UNPACKED_BYTES);
        Ok(Limits { bytes, ..unlimited })
    }
}

impl Default for Limits {
    /// No limit but that of the number of chunks.
    fn default() -> Self {
        Limits {
            bytes: u64::MAX,
            chunks: MAX_CHUNKS,
        }
    }
}

/// Where the members of a file come from.
pub(super) trait Parts {
    /// Goes to a member; none if it is not there, or in an archive read in order, not next.
    fn go_to(&mut self, name: &MemberName) -> Result<Option<MemberInfo>, Error>;

    /// Reads the member gone to last.
    fn read_part(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Reads a file of the References: its chunks joined, its compression undone.
///
/// It ends only where everything was found in order; until then, what was read may be the beginning of a damaged file.
/// Errors of this crate come through [`io::Error`], with the member and the offset in the archive (or in the folder's
/// file) where the bytes stand as they are stored. After an error every read fails.
pub struct FileReader<'a> {
    layers: Layers<'a>,
    limit: u64,
    given: u64,
    failed: bool,
}

enum Layers<'a> {
    Plain(Joined<'a>),
    Gzip(Gunzip<'a>),
}

impl<'a> FileReader<'a> {
    pub(super) fn new(parts: &'a mut dyn Parts, file: &File, limits: &Limits) -> Result<Self, Error> {
        check(file)?;
        let joined = Joined::new(parts, file, limits.chunks)?;
        let layers = match &file.compression {
            Compression::Gzip => Layers::Gzip(Gunzip::new(joined)),
            _ => Layers::Plain(joined),
        };
        Ok(FileReader {
            layers,
            limit: limits.bytes,
            given: 0,
            failed: false,
        })
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let left = usize::try_from(self.limit - self.given).unwrap_or(usize::MAX);
        let mut probe = [0];
        // At the limit, one byte more tells whether the file ends there.
        let (buffer, over) = match left {
            0 => (&mut probe[..], true),
            _ => {
                let wanted = buffer.len().min(left);
                (&mut buffer[..wanted], false)
            }
        };
        let read = match &mut self.layers {
            Layers::Plain(joined) => joined.read_some(buffer)?,
            Layers::Gzip(gunzip) => gunzip.read_some(buffer)?,
        };
        if over && read > 0 {
            let reason = format!("the file has more than the {} bytes that it may have", self.limit);
            return Err(self.joined().map_or_else(
                || Error::new(Kind::FileLimit, &reason),
                |joined| joined.place(Error::new(Kind::FileLimit, &reason)),
            ));
        }
        self.given += read as u64;
        Ok(read)
    }

    fn joined(&self) -> Option<&Joined<'a>> {
        match &self.layers {
            Layers::Plain(joined) => Some(joined),
            Layers::Gzip(gunzip) => gunzip.joined(),
        }
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.failed {
            return Err(io::Error::other("the file could not be read before this"));
        }
        self.read_some(buffer).map_err(|error| {
            self.failed = true;
            error.into()
        })
    }
}

/// Refuses what is no file of the package, or compressed in a way that nobody can undo.
fn check(file: &File) -> Result<(), Error> {
    if file.is_external() {
        let reason = format!("{} stands outside the package", quoted(&file.href));
        return Err(file.origin.place(Error::new(Kind::PackageMissing, reason)));
    }
    if let Compression::Other(name) = &file.compression {
        let reason = format!("compression {} is not supported", quoted(name));
        return Err(file.origin.place(Error::new(Kind::DescriptorValue, reason)));
    }
    Ok(())
}

impl Source {
    /// A file of the descriptor's References, from where the source stands: as its bytes are before compression and
    /// chunks.
    ///
    /// Members before it are passed over, and cannot be had any more: ask in the order of the References.
    ///
    /// # Errors
    /// [`Kind::PackageMissing`] if its first member does not follow; [`Kind::PackageSize`] for a member of another size
    /// than the descriptor tells; [`Kind::PackageLimit`] for too many chunks; [`Kind::DescriptorValue`] for an unknown
    /// compression; those of [`Source::next_member`]. While it is read: the same for the later chunks, which must follow
    /// one another, and [`Kind::GzipMalformed`], [`Kind::GzipTruncated`], [`Kind::GzipTrailingData`],
    /// [`Kind::FileLimit`].
    pub fn file(&mut self, file: &File, limits: &Limits) -> Result<FileReader<'_>, Error> {
        check(file)?;
        let whole = file.whole_name()?;
        let first = match file.chunk_size {
            None => whole.clone(),
            Some(_) => file.chunk_name(0)?,
        };
        while let Some(info) = self.advance()? {
            if info.role == Role::File && (info.name == first || info.name == whole) {
                self.put_back();
                break;
            }
        }
        FileReader::new(self, file, limits)
    }
}

impl Parts for Source {
    fn go_to(&mut self, name: &MemberName) -> Result<Option<MemberInfo>, Error> {
        let info = self.advance()?;
        let wanted = info.filter(|info| info.role == Role::File && info.name == *name);
        if wanted.is_none() {
            self.put_back();
        }
        Ok(wanted)
    }

    fn read_part(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body().read(buffer)
    }
}
