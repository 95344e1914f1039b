//! A file that is received front to back, over as many connections and restarts as it takes.
//!
//! After a power cut, bytes that were written and not synced may be there, be zero, or be somebody's old ones, and the file's
//! length says nothing about it. So what counts is what was recorded after a sync.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use uuid::Uuid;

use super::folder::Folder;
use super::record::Record;
use super::{BYTES, Owner, Sealed};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
use crate::file;
use crate::store::Space;

/// After so many bytes they are synced and recorded, or after so long where they come slowly: what a power cut can take.
const SYNC_EVERY: u64 = 64 << 20;
const SYNC_AFTER: Duration = Duration::from_secs(5);
/// Bytes that are read at once for the digest.
const PIECE: usize = 1 << 20;

/// A file in quarantine that is not whole yet; nobody else receives it meanwhile. Dropped, it is there to be resumed, from what
/// was last synced.
#[derive(Debug)]
pub struct Partial {
    folder: Folder,
    file: File,
    owner: Owner,
    id: Uuid,
    size: u64,
    received: u64,
    durable: u64,
    hasher: Hasher,
    /// A sync failed: nobody knows what is on the disk of what came after the last one.
    is_broken: bool,
    sync_every: u64,
    sync_after: Duration,
    /// When it was last synced, or begun.
    synced: Instant,
}

impl Partial {
    /// Begins one in an empty folder.
    pub(super) fn create(folder: Folder, owner: Owner, id: Uuid, size: u64) -> Result<Self> {
        let file = folder.create_file(BYTES)?;
        lock(&folder, &file)?;
        Record { received: 0, size }.keep(&folder)?;
        Ok(Self {
            folder,
            file,
            owner,
            id,
            size,
            received: 0,
            durable: 0,
            hasher: Hasher::default(),
            is_broken: false,
            sync_every: SYNC_EVERY,
            sync_after: SYNC_AFTER,
            synced: Instant::now(),
        })
    }

    /// Goes on with what a folder's record vouches for; what is behind that is cut off.
    pub(super) fn resume(folder: Folder, owner: Owner, id: Uuid) -> Result<Self> {
        let file = folder.open_file_to_write(BYTES)?;
        lock(&folder, &file)?;
        let Record { received, size } = Record::read(&folder)?;
        let path = folder.path(BYTES);
        let failed = |error| Error::file(&path, "read", error);
        if file.metadata().map_err(failed)?.len() < received {
            let reason = format!("is shorter than the {received} bytes that were received");
            return Err(Error::new(Kind::StateCorrupt, path.display().to_string(), reason));
        }
        file.set_len(received)
            .map_err(|error| Error::file(&path, "write", error))?;
        let hasher = digest_of(&file, received).map_err(failed)?;
        Ok(Self {
            folder,
            file,
            owner,
            id,
            size,
            received,
            durable: received,
            hasher,
            is_broken: false,
            sync_every: SYNC_EVERY,
            sync_after: SYNC_AFTER,
            synced: Instant::now(),
        })
    }

    /// What its owner knows it by.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Bytes that there will be.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that came so far: where the next ones go.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Of these, bytes that a power cut doesn't take.
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Takes the next bytes, all or none of them.
    ///
    /// # Errors
    /// [`Kind::Offset`] unless `offset` is what was received so far; [`Kind::Ceiling`] for more than was announced;
    /// [`Kind::StateFull`] before the disk is so full that others suffer; [`Kind::Io`] and its like. After a failed sync nothing
    /// more is taken: the file has to be resumed.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.demand_whole()?;
        if offset != self.received {
            let reason = format!("goes on at byte {}, not {offset}", self.received);
            return Err(Error::new(Kind::Offset, self.id.to_string(), reason));
        }
        let end = self.put(offset, bytes)?;
        self.hasher.update(bytes);
        self.received = end;
        self.sync_if_due()
    }

    /// Writes bytes to their place, all or none, and tells where they end.
    fn put(&self, offset: u64, bytes: &[u8]) -> Result<u64> {
        let length = bytes.len() as u64;
        let end = offset.checked_add(length).filter(|end| *end <= self.size);
        let Some(end) = end else {
            let reason = format!("is announced as {} bytes, and more come", self.size);
            return Err(Error::new(Kind::Ceiling, self.id.to_string(), reason));
        };
        let failed = |error| Error::file(&self.folder.path(BYTES), "write", error);
        if !Space::around(&self.file).map_err(failed)?.takes(length) {
            return Err(failed(Errno::NOSPC.into()));
        }
        // Of what fails half-way nothing counts: the next bytes go to the same place.
        self.file.write_all_at(bytes, offset).map_err(failed)?;
        Ok(end)
    }

    fn sync_if_due(&mut self) -> Result<()> {
        let waiting = self.received - self.durable;
        match waiting >= self.sync_every || waiting > 0 && self.synced.elapsed() >= self.sync_after {
            true => self.sync(),
            false => Ok(()),
        }
    }

    /// Puts bytes where they belong, ahead of those that were received so far. They count once everything before them is there, and
    /// [`Partial::advance`] says so; whoever resumes the file doesn't know of them.
    ///
    /// # Errors
    /// As [`Partial::write`]; [`Kind::Offset`] for what was received already.
    pub fn place(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.demand_whole()?;
        if offset < self.received {
            let reason = format!(
                "has its first {} bytes, and {offset} is among them",
                self.received
            );
            return Err(Error::new(Kind::Offset, self.id.to_string(), reason));
        }
        self.put(offset, bytes).map(drop)
    }

    /// Counts bytes that were placed, up to `end`: they are read back for the digest.
    ///
    /// # Errors
    /// [`Kind::Io`] and its like, also where they were never placed.
    pub fn advance(&mut self, end: u64) -> Result<()> {
        self.demand_whole()?;
        let failed = |error| Error::file(&self.folder.path(BYTES), "read", error);
        let mut piece = vec![0; PIECE];
        while self.received < end {
            let most = usize::try_from(end - self.received).unwrap_or(PIECE).min(PIECE);
            let part = piece.get_mut(..most).unwrap_or_default();
            self.file.read_exact_at(part, self.received).map_err(failed)?;
            self.hasher.update(part);
            self.received += part.len() as u64;
        }
        self.sync_if_due()
    }

    /// Makes durable what came so far, as before it is left alone for a while.
    ///
    /// # Errors
    /// [`Kind::StateFull`], [`Kind::Io`] and its like.
    pub fn sync(&mut self) -> Result<()> {
        self.demand_whole()?;
        if self.received == self.durable {
            return Ok(());
        }
        // The kernel tells of a failure once, and may have dropped the bytes then.
        self.is_broken = true;
        self.file
            .sync_data()
            .map_err(|error| Error::file(&self.folder.path(BYTES), "synchronise", error))?;
        let record = Record {
            received: self.received,
            size: self.size,
        };
        record.keep(&self.folder)?;
        self.durable = self.received;
        self.synced = Instant::now();
        self.is_broken = false;
        Ok(())
    }

    /// Ends it: all bytes are there and on the disk, and are those of `expected`.
    ///
    /// # Errors
    /// [`Kind::Incomplete`]; [`Kind::Mismatch`] for another digest; [`Kind::StateFull`], [`Kind::Io`] and its like. It stays in
    /// quarantine.
    pub fn seal(mut self, expected: Option<Digest>) -> Result<Sealed> {
        self.demand_whole()?;
        if self.received != self.size {
            let reason = format!("has {} of {} bytes", self.received, self.size);
            return Err(Error::new(Kind::Incomplete, self.id.to_string(), reason));
        }
        self.sync()?;
        let digest = self.hasher.finish();
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            let reason = format!("has the digest {digest}, not {expected}");
            return Err(Error::new(Kind::Mismatch, self.id.to_string(), reason));
        }
        Ok(Sealed::new(
            self.folder,
            self.file,
            self.owner,
            self.id,
            digest,
            self.size,
        ))
    }

    fn demand_whole(&self) -> Result<()> {
        match self.is_broken {
            false => Ok(()),
            true => Err(Error::new(
                Kind::Io,
                self.id.to_string(),
                "could not be put on the disk, and has to be resumed",
            )),
        }
    }

    #[cfg(test)]
    pub(super) fn sync_every(&mut self, bytes: u64) {
        self.sync_every = bytes;
    }

    #[cfg(test)]
    pub(super) fn sync_after(&mut self, time: Duration) {
        self.sync_after = time;
    }
}

/// Keeps everybody else from writing to it, until it is closed.
fn lock(folder: &Folder, file: &File) -> Result<()> {
    match file::lock(file) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(
            Kind::Taken,
            folder.path(BYTES).display().to_string(),
            "is being received over another connection",
        )),
        Err(error) => Err(Error::file(&folder.path(BYTES), "lock", error)),
    }
}

fn digest_of(file: &File, length: u64) -> std::io::Result<Hasher> {
    let mut hasher = Hasher::default();
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < length {
        let most = usize::try_from(length - at).unwrap_or(PIECE).min(PIECE);
        let part = piece.get_mut(..most).unwrap_or_default();
        file.read_exact_at(part, at)?;
        hasher.update(part);
        at += part.len() as u64;
    }
    Ok(hasher)
}
