//! A file on its way: read once, from wherever the connector wants it, with its digest.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::admin::{Meter, Result};
use crate::bundle::Bundle;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind};
use crate::transfer::OfferedFile;

/// Bytes that are read at once.
const PIECE: u64 = 256 << 10;

/// A file that is sent.
#[derive(Debug, Clone)]
pub(in crate::command) struct Outgoing {
    pub(super) name: String,
    pub(super) bytes: u64,
    content: Arc<Content>,
}

#[derive(Debug)]
struct Content {
    origin: Origin,
    path: PathBuf,
    digested: Mutex<Digested>,
}

/// Where a file's bytes are.
#[derive(Debug)]
enum Origin {
    File {
        file: File,
        /// When it was changed last, as it was opened.
        changed: (i64, i64),
    },
    Bundle {
        bundle: Arc<Bundle>,
        /// Where it begins in that.
        start: u64,
    },
}

/// The beginning of a file that was read.
#[derive(Debug, Default, Clone)]
struct Digested {
    hasher: Hasher,
    bytes: u64,
}

impl Outgoing {
    /// Opens a regular file, whose length is known.
    pub(super) fn open(path: &Path, name: String) -> Result<Self> {
        let failed = |error| Error::file(path, "open", error);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::new(Kind::Io, path.display().to_string(), "is no regular file").into());
        }
        Ok(Self {
            name,
            bytes: metadata.len(),
            content: Arc::new(Content {
                origin: Origin::File {
                    file,
                    changed: (metadata.mtime(), metadata.mtime_nsec()),
                },
                path: path.to_owned(),
                digested: Mutex::default(),
            }),
        })
    }

    /// A file of a bundle, by its place among the others.
    pub(in crate::command) fn of_bundle(
        bundle: &Arc<Bundle>,
        path: &Path,
        index: usize,
        file: &OfferedFile,
    ) -> Self {
        let origin = Origin::Bundle {
            bundle: Arc::clone(bundle),
            start: bundle.start_of(index),
        };
        Self {
            name: file.name.clone(),
            bytes: file.bytes,
            content: Arc::new(Content {
                origin,
                path: path.to_owned(),
                digested: Mutex::default(),
            }),
        }
    }

    /// What comes from a byte on; it is counted as it is taken.
    pub(super) fn rest(&self, from: u64, meter: Meter) -> Rest {
        meter.begin_at(from);
        Rest {
            content: Arc::clone(&self.content),
            at: from,
            unread: self.bytes.saturating_sub(from),
            left: self.bytes.saturating_sub(from),
            next: None,
            meter,
        }
    }

    /// Reads what was not read yet before a byte, for the digest alone.
    pub(super) async fn catch_up(&self, to: u64, json: bool) -> Result<()> {
        let (what, mut at) = (format!("reading {}", self.name), self.content.digested().bytes);
        let meter = Meter::new(&what, to, json);
        meter.begin_at(at);
        while at < to {
            let read = self.content.read(at, PIECE.min(to - at)).await;
            let piece = read.map_err(ended)??;
            at += piece.len() as u64;
            meter.add(piece.len());
        }
        Ok(())
    }

    /// The digest of all of it.
    pub(super) async fn digest(&self, json: bool) -> Result<Digest> {
        self.catch_up(self.bytes, json).await?;
        if let Origin::File { file, changed } = &self.content.origin {
            let failed = |error| Error::file(&self.content.path, "read", error);
            let now = file.metadata().map_err(failed)?;
            if (now.len(), now.mtime(), now.mtime_nsec()) != (self.bytes, changed.0, changed.1) {
                let place = self.content.path.display().to_string();
                return Err(Error::new(Kind::Changed, place, "has changed while it was sent").into());
            }
        }
        Ok(self.content.digested().hasher.finish())
    }
}

fn ended(error: tokio::task::JoinError) -> Error {
    Error::new(Kind::Io, "the file", "can't be read").because(error)
}

impl Content {
    fn digested(&self) -> Digested {
        self.digested
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn fill(&self, at: u64, piece: &mut [u8]) -> Result<(), Error> {
        match &self.origin {
            Origin::Bundle { bundle, start } => bundle.read_at(start.saturating_add(at), piece),
            Origin::File { file, .. } => {
                let read = file.read_exact_at(piece, at);
                read.map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        let place = self.path.display().to_string();
                        Error::new(Kind::Changed, place, "became shorter while it was sent")
                    }
                    _ => Error::file(&self.path, "read", error),
                })
            }
        }
    }

    /// Reads a piece on a thread that may wait for the disk. What comes again, after a connection broke, was digested already.
    fn read(self: &Arc<Self>, at: u64, length: u64) -> JoinHandle<Result<Bytes, Error>> {
        let content = Arc::clone(self);
        spawn_blocking(move || {
            let length = usize::try_from(length).unwrap_or_default();
            let mut piece = vec![0; length];
            content.fill(at, &mut piece)?;
            let mut digested = content.digested.lock().unwrap_or_else(PoisonError::into_inner);
            let new = digested
                .bytes
                .checked_sub(at)
                .and_then(|known| usize::try_from(known).ok());
            if let Some(new) = new.and_then(|known| piece.get(known..)) {
                digested.hasher.update(new);
                digested.bytes += new.len() as u64;
            }
            drop(digested);
            Ok(Bytes::from(piece))
        })
    }
}

/// The rest of a file, as a body: one piece is read while the one before it is sent.
#[derive(Debug)]
pub(super) struct Rest {
    content: Arc<Content>,
    /// Where the next read begins.
    at: u64,
    unread: u64,
    /// Bytes that were not given yet.
    left: u64,
    next: Option<JoinHandle<Result<Bytes, Error>>>,
    meter: Meter,
}

impl Rest {
    fn read_ahead(&mut self) -> Option<JoinHandle<Result<Bytes, Error>>> {
        let length = self.unread.min(PIECE);
        if length == 0 {
            return None;
        }
        let at = self.at;
        self.at += length;
        self.unread -= length;
        Some(self.content.read(at, length))
    }
}

impl Body for Rest {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(mut next) = self.next.take().or_else(|| self.read_ahead()) else {
            return Poll::Ready(None);
        };
        let Poll::Ready(read) = Pin::new(&mut next).poll(context) else {
            self.next = Some(next);
            return Poll::Pending;
        };
        match read.unwrap_or_else(|error| Err(ended(error))) {
            Ok(piece) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                self.meter.add(piece.len());
                self.next = self.read_ahead();
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Err(error) => {
                self.unread = 0;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn outgoing(bytes: &[u8]) -> (tempfile::NamedTempFile, Outgoing) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let outgoing = Outgoing::open(file.path(), "a".to_owned()).unwrap();
        (file, outgoing)
    }

    fn meter() -> Meter {
        Meter::new("sending", 1, true)
    }

    #[tokio::test]
    async fn the_digest_is_of_the_whole_wherever_it_was_broken_off_and_gone_on_with() {
        let bytes: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
        let (_file, outgoing) = outgoing(&bytes);
        let mut first = outgoing.rest(0, meter());
        assert_eq!(first.size_hint().exact(), Some(1_000_000));
        first.frame().await.unwrap().unwrap();
        drop(first);
        // Part of what was sent is sent once more, and later some came that this process never read.
        for from in [100_000, 700_000] {
            outgoing.catch_up(from, true).await.unwrap();
            let rest = outgoing.rest(from, meter()).collect().await.unwrap().to_bytes();
            assert!(rest == bytes[usize::try_from(from).unwrap()..]);
            assert_eq!(outgoing.digest(true).await.unwrap(), Digest::of(&bytes));
        }
    }

    #[tokio::test]
    async fn a_file_that_changes_meanwhile_is_no_longer_the_one_that_was_announced() {
        let (file, outgoing) = outgoing(&[1; 1000]);
        std::fs::write(file.path(), [1; 999]).unwrap();
        let cut = outgoing.rest(0, meter()).collect().await.unwrap_err();
        assert_eq!(cut.kind(), Kind::Changed);
        std::fs::write(file.path(), [2; 1001]).unwrap();
        assert!(outgoing.digest(true).await.is_err());
        let folder = tempfile::tempdir().unwrap();
        assert!(Outgoing::open(folder.path(), "a".to_owned()).is_err());
    }
}
