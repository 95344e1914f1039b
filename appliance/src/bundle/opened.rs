//! A bundle that is read, wherever in it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::sealed::{HEADER, Layout, SEGMENT, Segments};
use super::{ASSOCIATED, Head, Key, LENGTH, MAGIC, head};
use crate::error::{Error, Kind, Result};

const CUT: &str = "is not all there: its end is missing";

/// A sealed file, and what is in it.
#[derive(Debug)]
pub(crate) struct Bundle {
    stream: Stream,
    head: Head,
    /// Where the files begin.
    start: u64,
}

impl Bundle {
    /// Opens one, and reads what it says of itself.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for another file; [`Kind::Mismatch`] with another key, or where it was changed; [`Kind::Incomplete`] where
    /// its end is missing; [`Kind::Io`].
    pub(crate) fn open(path: &Path, key: &Key) -> Result<Self> {
        let wrong = |kind, reason: &str| Error::new(kind, path.display().to_string(), reason);
        let stream = Stream::open(path, key)?;
        let opened = stream.layout.opened().unwrap_or_default();
        let mut length = [0; LENGTH];
        stream.read_at(0, &mut length)?;
        let length = u32::from_be_bytes(length);
        let start = LENGTH as u64 + u64::from(length);
        if length as usize > head::LONGEST || start > opened {
            return Err(wrong(
                Kind::Malformed,
                "has a head that is longer than one can be",
            ));
        }
        let mut text = vec![0; length as usize];
        stream.read_at(LENGTH as u64, &mut text)?;
        let head = Head::read(&text).map_err(|error| error.at(path.display().to_string()))?;
        match head.offer.bytes().checked_add(start) {
            Some(expected) if expected == opened => Ok(Self { stream, head, start }),
            Some(expected) if expected < opened => {
                Err(wrong(Kind::Malformed, "has something behind its last file"))
            }
            _ => Err(wrong(Kind::Incomplete, CUT)),
        }
    }

    /// What it says of itself.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// Where a file begins, of the bytes that are sealed.
    pub(crate) fn start_of(&self, index: usize) -> u64 {
        let before = self.head.offer.files.iter().take(index);
        before.fold(self.start, |at, file| at.saturating_add(file.bytes))
    }

    /// Reads what is sealed, from a byte on.
    ///
    /// # Errors
    /// [`Kind::Mismatch`] where it was changed; [`Kind::Io`].
    pub(crate) fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        self.stream.read_at(at, into)
    }
}

/// What is sealed, wherever in it.
#[derive(Debug)]
struct Stream {
    file: File,
    path: PathBuf,
    layout: Layout,
    /// How many segments there are.
    count: u32,
    segments: Segments,
    /// The segment that was opened last.
    last: Mutex<Option<(u32, Vec<u8>)>>,
}

impl Stream {
    fn open(path: &Path, key: &Key) -> Result<Self> {
        let failed = |error| Error::file(path, "read", error);
        let wrong = |kind, reason: &str| Error::new(kind, path.display().to_string(), reason);
        let file = File::open(path).map_err(|error| Error::file(path, "open", error))?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(wrong(Kind::Io, "is no regular file"));
        }
        let is_none = || wrong(Kind::Malformed, "is no bundle");
        let start = MAGIC.len() as u64;
        let sealed = metadata.len().checked_sub(start).ok_or_else(is_none)?;
        let mut magic = [0; MAGIC.len()];
        file.read_exact_at(&mut magic, 0).map_err(failed)?;
        if magic != *MAGIC {
            return Err(is_none());
        }
        let layout = Layout {
            start,
            sealed,
            segment: SEGMENT as u64,
        };
        let count = layout.count().ok_or_else(|| wrong(Kind::Incomplete, CUT))?;
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, start).map_err(failed)?;
        Ok(Self {
            segments: Segments::of(key, ASSOCIATED, SEGMENT, &header).ok_or_else(is_none)?,
            file,
            path: path.to_owned(),
            layout,
            count,
            last: Mutex::default(),
        })
    }

    fn read_at(&self, mut at: u64, mut into: &mut [u8]) -> Result<()> {
        while !into.is_empty() {
            let (number, offset) = self.layout.find(at);
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let known = last.take().filter(|(known, _)| *known == number);
            let (_, segment) = match known {
                Some(known) => last.insert(known),
                None => last.insert((number, self.segment(number)?)),
            };
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let there = segment.get(from..).filter(|there| !there.is_empty());
            let there = there.ok_or_else(|| self.changed(number))?;
            let length = there.len().min(into.len());
            let (now, later) = into.split_at_mut(length);
            now.copy_from_slice(there.get(..length).unwrap_or_default());
            into = later;
            at += length as u64;
        }
        Ok(())
    }

    fn segment(&self, number: u32) -> Result<Vec<u8>> {
        let (begin, length) = self.layout.place(number);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file
            .read_exact_at(&mut bytes, begin)
            .map_err(|error| Error::file(&self.path, "read", error))?;
        let is_last = number.checked_add(1) == Some(self.count);
        let opened = self.segments.open(number, is_last, bytes);
        opened.ok_or_else(|| self.changed(number))
    }

    fn changed(&self, number: u32) -> Error {
        let (begin, _) = self.layout.place(number);
        let reason = match number {
            0 => "can't be opened: the key is another one, or the bundle was changed or cut".to_owned(),
            _ => format!("was changed, cut or damaged: what begins at its byte {begin} can't be opened"),
        };
        Error::new(Kind::Mismatch, self.path.display().to_string(), reason)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SigningKey as _};
    use uuid::Uuid;

    use super::*;
    use crate::bundle::Draft;
    use crate::catalog::Sort;
    use crate::clock::Moment;
    use crate::digest::Digest;
    use crate::transfer::{Grant, Offer, OfferedFile, Party, Place, Purpose, Signed};

    fn party() -> Party {
        Party {
            node: Uuid::new_v4(),
            cloud: "north".to_owned(),
            place: Place {
                tenant: None,
                catalog: "images".to_owned().try_into().unwrap(),
                item: "app".to_owned().try_into().unwrap(),
            },
        }
    }

    /// The head of a bundle of these files.
    fn head(files: &[(&str, &[u8])]) -> Head {
        let files = files.iter().map(|(name, bytes)| OfferedFile {
            name: (*name).to_owned(),
            bytes: bytes.len() as u64,
            digest: Digest::of(bytes),
        });
        let offer = Offer {
            label: "1".to_owned(),
            kind: Sort::File,
            files: files.collect(),
        };
        let grant = Grant {
            transfer: Uuid::new_v4(),
            number: 1,
            source: party(),
            destination: party(),
            version: Uuid::new_v4(),
            label: "1".to_owned(),
            kind: Sort::File,
            digest: offer.digest(),
            bytes: offer.bytes(),
            floor: None,
            relay: None,
            moves: false,
            subscription: None,
            issued: Moment(1),
            expires: Moment(2),
        };
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap();
        let certificate = certificate.self_signed(&key).unwrap().der().clone();
        let sign = |bytes: &[u8]| Ok(key.sign(bytes).unwrap());
        Head {
            grant: Signed::new(Purpose::Grant, &grant, &certificate, sign).unwrap(),
            offer,
        }
    }

    fn made(path: &Path, key: &Key, files: &[(&str, &[u8])]) -> Head {
        let head = head(files);
        let mut draft = Draft::create(path, key, &head).unwrap();
        for (_, bytes) in files {
            for piece in bytes.chunks(700_001) {
                draft.write(piece).unwrap();
            }
            draft.close().unwrap();
        }
        draft.keep(false).unwrap();
        head
    }

    fn long() -> Vec<u8> {
        (0..=250).cycle().take(3_000_000).collect()
    }

    #[test]
    fn what_was_put_in_is_read_wherever_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bundle");
        let key = Key::of([7; 32]);
        let long = long();
        let head = made(&path, &key, &[("a", b"first"), ("b", &long), ("c", b"")]);
        let bundle = Bundle::open(&path, &key).unwrap();
        assert_eq!(bundle.head(), &head);
        let mut first = [0; 5];
        bundle.read_at(bundle.start_of(0), &mut first).unwrap();
        assert_eq!(&first, b"first");
        for (from, length) in [(0, 3_000_000), (2_999_999, 1), (1_048_000, 2000), (5, 0)] {
            let mut some = vec![0; length];
            bundle
                .read_at(bundle.start_of(1) + from as u64, &mut some)
                .unwrap();
            assert!(some == long[from..from + length], "{from}");
        }
        assert!(
            bundle.read_at(bundle.start_of(3), &mut [0]).is_err(),
            "behind the end"
        );
        let sealed = std::fs::read(&path).unwrap();
        assert!(
            !sealed
                .windows(5)
                .any(|window| window == b"first" || window == b"trans")
        );
    }

    #[test]
    fn one_that_was_cut_changed_or_sealed_for_another_key_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bundle");
        let key = Key::of([7; 32]);
        made(&path, &key, &[("a", &long())]);
        let good = std::fs::read(&path).unwrap();
        let opened = |bytes: &[u8], key: &Key| {
            std::fs::write(&path, bytes).unwrap();
            Bundle::open(&path, key).map_err(|error| error.kind())
        };
        assert!(opened(&good, &key).is_ok());
        assert_eq!(opened(&good, &Key::of([8; 32])).unwrap_err(), Kind::Mismatch);
        for (length, kind) in [
            (0, Kind::Malformed),
            (15, Kind::Malformed),
            (16, Kind::Incomplete),
            (70, Kind::Incomplete),
            (1000, Kind::Mismatch),
            (16 + SEGMENT, Kind::Mismatch),
            (16 + 2 * SEGMENT, Kind::Incomplete),
            (good.len() - 1, Kind::Incomplete),
        ] {
            assert_eq!(opened(&good[..length], &key).unwrap_err(), kind, "{length}");
        }
        let longer = [&good[..], &[0; 10]].concat();
        assert_eq!(opened(&longer, &key).unwrap_err(), Kind::Malformed);
        for at in [0, 12, 16, 17, 40, 100] {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, &key).is_err(), "{at}");
        }
        let mut changed = good;
        let at = changed.len() - 1;
        changed[at] ^= 1;
        let bundle = opened(&changed, &key).unwrap();
        let error = bundle.read_at(bundle.start_of(1) - 1, &mut [0]).unwrap_err();
        assert!(error.to_string().contains("its byte 2097168"), "{error}");
    }

    #[test]
    fn only_the_files_that_the_grant_is_for_go_in_and_a_draft_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bundle");
        let key = Key::of([7; 32]);
        let head = head(&[("a", b"first"), ("b", b"second")]);
        let other = Head {
            offer: Offer {
                label: "2".to_owned(),
                ..head.offer.clone()
            },
            ..head.clone()
        };
        assert_eq!(
            Draft::create(&path, &key, &other).unwrap_err().kind(),
            Kind::Mismatch
        );
        let mut draft = Draft::create(&path, &key, &head).unwrap();
        draft.write(b"firs").unwrap();
        assert_eq!(draft.write(b"tt").unwrap_err().kind(), Kind::Ceiling);
        draft.write(b"x").unwrap();
        assert_eq!(draft.close().unwrap_err().kind(), Kind::Mismatch);
        drop(draft);
        let mut draft = Draft::create(&path, &key, &head).unwrap();
        draft.write(b"first").unwrap();
        draft.close().unwrap();
        assert_eq!(draft.keep(true).unwrap_err().kind(), Kind::Incomplete);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
