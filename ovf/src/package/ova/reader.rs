//! The walk over an archive, from its first byte to its last.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

use super::changes::Changes;
use super::header::{self, Block, Entry};
use super::{BLOCK, BLOCK_LEN, RECORD, padding};
use crate::error::{Error, Kind};
use crate::package::{MAX_MEMBERS, Member, MemberInfo, MemberName, Role};

/// The largest PAX or GNU header before a member that is looked into, in bytes.
pub(super) const MAX_EXTENSION: u64 = 64 << 10;

/// The most zeros that the tolerance for them reads after the end.
const MAX_TRAILING_ZEROS: u64 = 16 << 20;

/// Walks an OVA that comes as a stream.
///
/// ```no_run
/// let mut reader = ovf::package::ova::Reader::new(std::fs::File::open("product.ova")?);
/// while let Some(mut member) = reader.next_member()? {
///     println!("{} {}", member.name(), member.size());
///     std::io::copy(&mut member, &mut std::io::sink())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The first member must be the descriptor. After an error the walk is over.
pub struct Reader<R> {
    walk: Walk<R>,
    descriptor: Option<MemberName>,
    /// Names by what they are on a system that ignores case.
    names: HashMap<String, MemberName>,
    tolerances: Tolerances,
    finished: bool,
}

/// What is taken though importers disagree about it.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::package) struct Tolerances {
    pub(in crate::package) trailing_zeros: bool,
    pub(in crate::package) pax: bool,
    pub(in crate::package) long_names: bool,
}

impl<R: Read> Reader<R> {
    /// A reader at the archive's first byte.
    pub fn new(inner: R) -> Self {
        Self::with_skip(inner, |inner, bytes| {
            io::copy(&mut inner.take(bytes), &mut io::sink())
        })
    }

    /// Takes any number of zeros (up to 16 MiB) after the end, where some tools write more than one record.
    pub fn tolerate_trailing_zeros(&mut self) {
        self.tolerances.trailing_zeros = true;
    }

    /// Takes PAX headers that tell a member's path, or its size once more.
    ///
    /// A size other than the one in the member's own header stays refused: readers that know PAX and readers that do
    /// not would find two different archives in one file. So do headers for the whole archive.
    pub fn tolerate_pax(&mut self) {
        self.tolerances.pax = true;
    }

    /// Takes GNU tar's way of telling a name that its header has no room for.
    pub fn tolerate_long_names(&mut self) {
        self.tolerances.long_names = true;
    }

    pub(in crate::package) fn tolerances(&mut self) -> &mut Tolerances {
        &mut self.tolerances
    }

    /// The bytes below, to be read at any place.
    pub(in crate::package) fn into_inner(self) -> R {
        self.walk.inner
    }

    /// What is left of the member that [`Reader::advance`] went to.
    pub(in crate::package) fn body(&mut self) -> &mut Walk<R> {
        &mut self.walk
    }

    fn with_skip(inner: R, skip: Skip<R>) -> Self {
        let walk = Walk {
            inner,
            skip,
            offset: 0,
            name: None,
            left: 0,
            padding: 0,
        };
        Reader {
            walk,
            descriptor: None,
            names: HashMap::new(),
            tolerances: Tolerances::default(),
            finished: false,
        }
    }

    /// The next member, what is left of the one before passed over; none at the archive's end.
    ///
    /// # Errors
    /// [`Kind::Truncated`], [`Kind::TrailingData`], [`Kind::ArchiveHeader`], [`Kind::ArchivePadding`],
    /// [`Kind::MemberType`], [`Kind::MemberName`], [`Kind::MemberDuplicate`], [`Kind::PackageOrder`] where the first
    /// member is no descriptor, [`Kind::PackageLimit`], [`Kind::Io`]: each with the offset in the archive, and with
    /// the member where one is concerned.
    pub fn next_member(&mut self) -> Result<Option<Member<'_>>, Error> {
        Ok(self.advance()?.map(|info| Member {
            observer: None,
            info,
            body: &mut self.walk,
        }))
    }

    /// Goes to the next member, whose bytes [`Reader::body`] then reads.
    pub(in crate::package) fn advance(&mut self) -> Result<Option<MemberInfo>, Error> {
        if self.finished {
            return Ok(None);
        }
        // Set back below if all goes well, so that an error ends the walk.
        self.finished = true;
        self.walk.finish_member()?;
        let Some((name, size)) = self.next_file()? else {
            self.walk.check_tail(self.tolerances.trailing_zeros)?;
            return Ok(None);
        };
        let role = self
            .admit(&name, size)
            .map_err(|error| error.at_offset(self.walk.offset - BLOCK))?;
        self.walk.begin_member(&name, size);
        self.finished = false;
        Ok(Some(MemberInfo {
            name,
            role,
            size,
            offset: self.walk.offset,
        }))
    }

    /// The next regular file's name and size; none where the first of the two zero blocks stands.
    fn next_file(&mut self) -> Result<Option<(MemberName, u64)>, Error> {
        let mut changes: Option<Changes> = None;
        loop {
            let start = self.walk.offset;
            let block = self.walk.read_block("a header")?;
            let end = block.iter().all(|byte| *byte == 0);
            let found = match (end, &changes) {
                (true, None) => return Ok(None),
                (true, Some(_)) => Err(Error::new(Kind::ArchiveHeader, "a header before no member")),
                (false, _) => header::read(&block),
            };
            let refuse = |error: Error| self.walk.after(error.at_offset(start));
            match found.map_err(refuse)? {
                Entry::File { name, size } => {
                    let changed = changes.unwrap_or_default().apply(name, size).map_err(refuse)?;
                    return Ok(Some(changed));
                }
                before if changes.is_some() || before.extension_size() > MAX_EXTENSION => {
                    let reason = "a header before a member that is too large, or a second one";
                    return Err(refuse(Error::new(Kind::ArchiveHeader, reason)));
                }
                before => {
                    let bytes = self.walk.read_extension(before.extension_size())?;
                    let read = self.read_changes(&before, &bytes);
                    changes = Some(read.map_err(|error| self.walk.after(error.at_offset(start)))?);
                }
            }
        }
    }

    /// What the header before a member changes about it, as far as that is tolerated.
    fn read_changes(&self, before: &Entry, bytes: &[u8]) -> Result<Changes, Error> {
        match before {
            Entry::LongName { .. } if !self.tolerances.long_names => {
                let reason = "a GNU header for a long name: importers disagree about what it changes";
                Err(Error::new(Kind::ArchiveHeader, reason))
            }
            Entry::LongName { .. } => Changes::long_name(bytes),
            _ => Changes::pax(bytes, self.tolerances.pax),
        }
    }

    /// What a member is, if it may be here at all.
    fn admit(&mut self, name: &MemberName, size: u64) -> Result<Role, Error> {
        if self.names.len() >= MAX_MEMBERS {
            return Err(
                Error::new(Kind::PackageLimit, format!("more than {MAX_MEMBERS} members")).in_member(name),
            );
        }
        if let Some(twin) = self.names.insert(name.collision_key(), name.clone()) {
            let reason = if twin == *name {
                "the member stands twice in the archive".to_owned()
            } else {
                format!("the name is the same as {twin} where case or composition does not count")
            };
            return Err(Error::new(Kind::MemberDuplicate, reason).in_member(name));
        }
        let role = match &self.descriptor {
            Some(descriptor) => Role::beside(descriptor, name),
            None if name.has_extension("ovf") => {
                self.descriptor = Some(name.clone());
                Role::Descriptor
            }
            None => {
                let reason = "the first member is not the descriptor";
                return Err(Error::new(Kind::PackageOrder, reason).in_member(name));
            }
        };
        role.check_size(name, size)?;
        Ok(role)
    }
}

impl<R: Read + Seek> Reader<R> {
    /// A reader that jumps over the bytes of members that nobody reads: to list a large archive.
    pub fn seekable(inner: R) -> Self {
        Self::with_skip(inner, |inner, bytes| {
            let here = inner.stream_position()?;
            let end = inner.seek(SeekFrom::End(0))?;
            let target = here.saturating_add(bytes).min(end);
            inner.seek(SeekFrom::Start(target))?;
            Ok(target - here)
        })
    }
}

/// Passes over bytes and says how many there were.
type Skip<R> = fn(&mut R, u64) -> io::Result<u64>;

/// The position in an archive; reads the bytes of the member it stands in.
pub(in crate::package) struct Walk<R> {
    inner: R,
    skip: Skip<R>,
    offset: u64,
    name: Option<MemberName>,
    left: u64,
    padding: u64,
}

impl<R: Read> Walk<R> {
    fn begin_member(&mut self, name: &MemberName, size: u64) {
        self.name = Some(name.clone());
        self.left = size;
        self.padding = padding(size);
    }

    /// Passes over what is left of the member, and checks its padding.
    fn finish_member(&mut self) -> Result<(), Error> {
        if self.left > 0 {
            let skipped = (self.skip)(&mut self.inner, self.left).map_err(|error| self.failed(error))?;
            self.offset += skipped;
            self.left -= skipped;
            if self.left > 0 {
                return Err(self.cut("the member's bytes"));
            }
        }
        let mut padding = [0; BLOCK_LEN];
        let length = usize::try_from(self.padding).unwrap_or(0);
        let start = self.offset;
        self.fill(&mut padding[..length], "the padding after the member")?;
        self.padding = 0;
        match padding.iter().position(|byte| *byte != 0) {
            None => Ok(()),
            Some(at) => {
                let error = Error::new(Kind::ArchivePadding, "the padding after the member is not zero");
                Err(self.after(error.at_offset(start + at as u64)))
            }
        }
    }

    fn read_extension(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        let mut records = vec![0; usize::try_from(size + padding(size)).unwrap_or(0)];
        self.fill(&mut records, "a header before a member")?;
        records.truncate(usize::try_from(size).unwrap_or(0));
        Ok(records)
    }

    /// After the first zero block: the second, then zeros to the end of the record or nothing at all.
    fn check_tail(&mut self, any_zeros: bool) -> Result<(), Error> {
        let start = self.offset;
        if self
            .read_block("the second zero block at the archive's end")?
            .iter()
            .any(|byte| *byte != 0)
        {
            return Err(Error::new(Kind::ArchiveHeader, "one zero block between members").at_offset(start));
        }
        let end = self.offset;
        let limit = if any_zeros {
            end + MAX_TRAILING_ZEROS
        } else {
            end.next_multiple_of(RECORD)
        };
        let mut buffer = [0; 4096];
        loop {
            let read = self.read_some(&mut buffer)?;
            if read == 0 {
                break;
            }
            if let Some(at) = buffer[..read].iter().position(|byte| *byte != 0) {
                let error = Error::new(Kind::TrailingData, "bytes follow the archive's end");
                return Err(error.at_offset(self.offset + at as u64));
            }
            self.offset += read as u64;
            if self.offset > limit {
                let reason = "more zeros follow the archive's end than fill its last record";
                return Err(Error::new(Kind::TrailingData, reason).at_offset(limit));
            }
        }
        if any_zeros || self.offset == end || self.offset == limit {
            return Ok(());
        }
        Err(self.cut("the padding of the archive's last record"))
    }

    fn read_block(&mut self, what: &str) -> Result<Block, Error> {
        let mut block = [0; BLOCK_LEN];
        self.fill(&mut block, what)?;
        Ok(block)
    }

    fn fill(&mut self, mut buffer: &mut [u8], what: &str) -> Result<(), Error> {
        while !buffer.is_empty() {
            let read = self.read_some(buffer)?;
            if read == 0 {
                return Err(self.cut(what));
            }
            self.offset += read as u64;
            buffer = &mut buffer[read..];
        }
        Ok(())
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| self.failed(error)),
            }
        }
    }

    fn cut(&self, what: &str) -> Error {
        let error = Error::new(Kind::Truncated, format!("the archive ends in {what}"));
        self.after(error.at_offset(self.offset))
    }

    fn failed(&self, error: io::Error) -> Error {
        self.after(Error::io("reading the archive", error).at_offset(self.offset))
    }

    /// An error in, or right after, the member read last.
    fn after(&self, error: Error) -> Error {
        match &self.name {
            Some(name) => error.in_member(name),
            None => error,
        }
    }
}

impl<R: Read> Read for Walk<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.read_some(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(self.cut("the member's bytes").into());
        }
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
