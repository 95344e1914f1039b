//! A file that comes: under the name `NAME.part` until all of it is there and is what it has to be.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::admin::Meter;
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Kind, Result};
use crate::file;

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// What there is of a file.
#[derive(Debug)]
pub(in crate::command) struct Part {
    file: File,
    path: PathBuf,
    name: PathBuf,
    bytes: u64,
    expected: Digest,
    hasher: Hasher,
    written: u64,
    /// Whether some of it was there before.
    is_old: bool,
}

impl Part {
    /// Goes on with the file that will be `name`, or begins it; it is nobody else's meanwhile.
    pub(super) fn open(name: &Path, bytes: u64, expected: Digest) -> Result<Self> {
        let mut path = name.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        let failed = |error| Error::file(&path, "write", error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            // Whoever else may write there leads us nowhere.
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(failed)?;
        let place = || path.display().to_string();
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Error::new(Kind::Io, place(), "is no regular file"));
        }
        if !file::lock(&file).map_err(failed)? {
            return Err(Error::new(
                Kind::Taken,
                place(),
                "is being written by somebody else",
            ));
        }
        Ok(Self {
            file,
            name: name.to_owned(),
            path,
            bytes,
            expected,
            hasher: Hasher::default(),
            written: 0,
            is_old: false,
        })
    }

    /// Reads what is there already; what is longer than the file is of another one.
    pub(super) fn look(&mut self, meter: &Meter) -> Result<()> {
        let length = self
            .file
            .metadata()
            .map_err(|error| self.failed("read", error))?
            .len();
        if length > self.bytes {
            return self.restart();
        }
        let mut piece = vec![0; PIECE];
        loop {
            let read = self.file.read(&mut piece);
            match piece.get(..read.map_err(|error| self.failed("read", error))?) {
                None | Some([]) => break,
                Some(read) => {
                    self.hasher.update(read);
                    self.written += read.len() as u64;
                    meter.add(read.len());
                }
            }
        }
        self.is_old = self.written > 0;
        Ok(())
    }

    /// How much is there.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether all of it is there.
    pub(super) fn is_whole(&self) -> bool {
        self.written == self.bytes
    }

    /// Whether what is there was, in part, there before.
    pub(super) fn is_old(&self) -> bool {
        self.is_old
    }

    /// Sees that what comes goes on where it ended; from the first byte on it begins anew.
    pub(super) fn begin_at(&mut self, from: u64) -> Result<()> {
        if from == self.written {
            return Ok(());
        }
        if from != 0 {
            let reason = format!("goes on at byte {from}, and {} are here", self.written);
            return Err(Error::new(Kind::Offset, self.path.display().to_string(), reason));
        }
        self.restart()
    }

    fn restart(&mut self) -> Result<()> {
        (self.hasher, self.written, self.is_old) = (Hasher::default(), 0, false);
        let emptied = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map(drop).map_err(|error| self.failed("write", error))
    }

    /// Takes the next bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.written.saturating_add(bytes.len() as u64);
        if written > self.bytes {
            let reason = format!("has more than the {} bytes that it was said to have", self.bytes);
            return Err(Error::new(Kind::Ceiling, self.name.display().to_string(), reason));
        }
        self.file
            .write_all(bytes)
            .map_err(|error| self.failed("write", error))?;
        self.hasher.update(bytes);
        self.written = written;
        Ok(())
    }

    /// Whether it is what it has to be.
    pub(super) fn is_right(&self) -> bool {
        self.is_whole() && self.hasher.clone().finish() == self.expected
    }

    /// All of it, from its first byte on.
    pub(in crate::command) fn reread(&mut self) -> Result<&mut File> {
        match self.file.seek(SeekFrom::Start(0)) {
            Ok(_) => Ok(&mut self.file),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    /// Takes it away: it is good for nothing.
    pub(super) fn discard(self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|error| self.failed("remove", error))
    }

    /// Gives it its name, durably; one that is there is replaced only if that is wanted.
    pub(super) fn keep(self, replace: bool) -> Result<()> {
        self.file
            .sync_all()
            .map_err(|error| self.failed("write", error))?;
        match replace {
            true => std::fs::rename(&self.path, &self.name)
                .map_err(|error| Error::file(&self.name, "write", error))?,
            false => file::rename_new(&self.path, &self.name)?,
        }
        match self.name.parent() {
            Some(parent) if parent != Path::new("") => file::sync_directory(parent),
            _ => file::sync_directory(Path::new(".")),
        }
    }

    fn failed(&self, what: &str, error: std::io::Error) -> Error {
        Error::file(&self.path, what, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"0123456789";

    fn part(name: &Path) -> Result<Part> {
        let mut part = Part::open(name, BYTES.len() as u64, Digest::of(BYTES))?;
        part.look(&Meter::new("reading", 1, true))?;
        Ok(part)
    }

    #[test]
    fn it_is_gone_on_with_by_whoever_comes_next_and_has_its_name_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("a.ova");
        let mut first = part(&name).unwrap();
        first.write(b"0123").unwrap();
        assert_eq!(part(&name).unwrap_err().kind(), Kind::Taken);
        drop(first);
        let mut second = part(&name).unwrap();
        assert_eq!((second.written(), second.is_old()), (4, true));
        assert_eq!(second.begin_at(7).unwrap_err().kind(), Kind::Offset);
        second.begin_at(4).unwrap();
        second.write(b"456789").unwrap();
        assert_eq!(second.write(b"x").unwrap_err().kind(), Kind::Ceiling);
        assert!(second.is_right() && !name.exists());
        second.keep(false).unwrap();
        assert_eq!(std::fs::read(&name).unwrap(), BYTES);
        let mut third = part(&name).unwrap();
        third.write(BYTES).unwrap();
        assert_eq!(third.keep(false).unwrap_err().kind(), Kind::Taken);
        let third = part(&name).unwrap();
        assert!(third.is_right());
        third.keep(true).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_of_another_file_begins_anew_and_links_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("a");
        std::fs::write(folder.path().join("a.part"), b"longer than ten").unwrap();
        assert_eq!(part(&name).unwrap().written(), 0);
        assert_eq!(std::fs::read(folder.path().join("a.part")).unwrap(), b"");
        std::fs::write(folder.path().join("a.part"), b"x123456789").unwrap();
        let wrong = part(&name).unwrap();
        assert!(wrong.is_whole() && !wrong.is_right() && wrong.is_old());
        wrong.discard().unwrap();
        std::os::unix::fs::symlink("/dev/null", folder.path().join("a.part")).unwrap();
        assert!(part(&name).is_err());
    }
}
