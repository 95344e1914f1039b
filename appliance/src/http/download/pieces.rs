//! A part of a file, read as it is taken.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

/// Bytes that are read at once.
pub const PIECE: usize = 128 << 10;

/// The body: one piece is read while the one before it is sent.
pub(super) struct Reading {
    file: Arc<File>,
    /// Where the next read begins.
    at: u64,
    /// Bytes that are still to be read.
    unread: u64,
    /// Bytes that were not given yet.
    left: u64,
    next: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Reading {
    pub(super) fn of(file: File, start: u64, length: u64) -> Self {
        Self {
            file: Arc::new(file),
            at: start,
            unread: length,
            left: length,
            next: None,
        }
    }

    fn read_ahead(&mut self) -> Option<JoinHandle<io::Result<Bytes>>> {
        let length = usize::try_from(self.unread).unwrap_or(PIECE).min(PIECE);
        if length == 0 {
            return None;
        }
        let (file, at) = (Arc::clone(&self.file), self.at);
        self.at += length as u64;
        self.unread -= length as u64;
        Some(spawn_blocking(move || {
            let mut piece = vec![0; length];
            file.read_exact_at(&mut piece, at)?;
            Ok(Bytes::from(piece))
        }))
    }
}

impl Body for Reading {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(mut next) = self.next.take().or_else(|| self.read_ahead()) else {
            return Poll::Ready(None);
        };
        let Poll::Ready(read) = Pin::new(&mut next).poll(context) else {
            self.next = Some(next);
            return Poll::Pending;
        };
        match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(piece) => {
                self.left -= piece.len() as u64;
                self.next = self.read_ahead();
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Err(error) => {
                // The length was promised: the connection is cut, and the client knows that this is not all.
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
    use std::io::Write as _;

    use http_body_util::BodyExt as _;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[tokio::test]
    async fn a_part_is_given_whole_whatever_it_is_to_pieces() {
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * PIECE + 5).collect();
        for (start, length) in [
            (0, 0),
            (0, 1),
            (1, PIECE),
            (7, PIECE + 1),
            (0, bytes.len()),
            (3 * PIECE, 5),
        ] {
            let body = Reading::of(file(&bytes), start as u64, length as u64);
            assert_eq!(body.size_hint().exact(), Some(length as u64));
            let taken = body.collect().await.unwrap().to_bytes();
            assert!(taken == bytes[start..start + length], "{start} {length}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_shorter_than_promised_fails() {
        let mut body = Reading::of(file(&[1; 100]), 0, 101);
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
    }
}
