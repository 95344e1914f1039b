//! A raw disk image in a file or on a block device.
//!
//! | attack | answer |
//! |---|---|
//! | a file that is cut while it is read | reading fails; nothing is filled up with zeros |
//! | a file that is written to while it is read | [`Source::settled`] tells, and every writer asks it when it is done |
//! | a pipe or a terminal in place of a file | refused |
//! | holes by the million | each is looked for from the one before |

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::SeekFrom as Seek;
use rustix::io::Errno;

use super::{Source, check_range};
use crate::error::{Error, Kind, Place, Result};

/// A raw image; its holes are those of the file system, where that tells.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    size: u64,
    /// When a regular file was last changed, as it was opened: seconds and nanoseconds.
    changed: Option<(i64, i64)>,
}

impl RawFile {
    /// Opens a raw image for reading.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::error::Kind::Io) if it cannot be opened, [`Kind::Invalid`](crate::error::Kind::Invalid) if
    /// it is neither a regular file nor a block device. The place is the file.
    pub fn open(path: &Path) -> Result<Self> {
        let place = || Place::File(path.display().to_string());
        let file = File::open(path).map_err(|e| Error::io(place(), "open", e))?;
        Self::new(file).map_err(|e| e.at(place()))
    }

    /// The same file, and what is remembered of it: changes since then are told by both.
    ///
    /// # Errors
    /// [`Kind::Io`] if the system has no room for another open file.
    pub fn try_clone(&self) -> Result<Self> {
        let file = self.file.try_clone();
        let file = file.map_err(|e| Error::io(Place::Whole, "open again", e))?;
        Ok(Self { file, ..*self })
    }

    /// The file.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// An open file as a disk. Its size is taken now: a file that grows later is read up to here.
    ///
    /// # Errors
    /// As [`RawFile::open`].
    pub fn new(mut file: File) -> Result<Self> {
        let failed = |e: io::Error| Error::io(Place::Whole, "find the image's size", e);
        let known = file.metadata().map_err(failed)?;
        let kind = known.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(Error::invalid(
                Place::Whole,
                "a raw image is a regular file or a block device",
            ));
        }
        let size = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let changed = kind.is_file().then(|| (known.ctime(), known.ctime_nsec()));
        Ok(Self { file, size, changed })
    }
}

impl Source for RawFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn next_data(&self, from: u64) -> Result<Option<Range<u64>>> {
        if from >= self.size {
            return Ok(None);
        }
        let failed = |e: Errno| Error::io(Place::Offset(from), "find the image's holes", e.into());
        let start = match rustix::fs::seek(&self.file, Seek::Data(from)) {
            Ok(start) => start.max(from),
            Err(Errno::NXIO) => return Ok(None),
            // Some file systems and all block devices know no holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOTTY) => return Ok(Some(from..self.size)),
            Err(e) => return Err(failed(e)),
        };
        if start >= self.size {
            return Ok(None);
        }
        let end = rustix::fs::seek(&self.file, Seek::Hole(start)).map_err(failed)?;
        Ok(Some(start..end.clamp(start + 1, self.size)))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        check_range(self.size, offset, buffer.len())?;
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|e| Error::io(Place::Offset(offset), "read the raw image", e))
    }

    /// A file's size and time of change are those that it was opened with: the time that nobody can set, and that tells of
    /// new names and modes, too. Of a block device nothing can be told, and file systems keep time by ticks of a few
    /// milliseconds.
    fn settled(&self) -> Result<()> {
        let Some(changed) = self.changed else {
            return Ok(());
        };
        let now = self
            .file
            .metadata()
            .map_err(|e| Error::io(Place::Whole, "look at the image again", e))?;
        if now.len() == self.size && (now.ctime(), now.ctime_nsec()) == changed {
            return Ok(());
        }
        let reason = "the image was changed while it was read: is a machine running from it?";
        Err(Error::new(Kind::Changed, Place::Whole, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn holes_of_a_sparse_file_are_skipped() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(16 << 20).unwrap();
        file.seek(SeekFrom::Start(8 << 20)).unwrap();
        file.write_all(&[7; 4096]).unwrap();
        let disk = RawFile::new(file).unwrap();
        let data = disk.next_data(0).unwrap().unwrap();
        assert!(
            data.contains(&(8 << 20)) && data.end - data.start < 1 << 20,
            "{data:?}"
        );
        assert_eq!(disk.next_data(data.end).unwrap(), None);
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_read_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let disk = RawFile::new(file.try_clone().unwrap()).unwrap();
        file.set_len(1).unwrap();
        assert_eq!(
            disk.read_at(0, &mut [0; 100]).unwrap_err().kind(),
            Kind::Truncated
        );
    }

    #[test]
    fn a_file_that_is_written_to_while_it_is_read_has_not_settled() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        let disk = RawFile::new(file.try_clone().unwrap()).unwrap();
        disk.settled().unwrap();
        // A tick of the file system's clock.
        std::thread::sleep(std::time::Duration::from_millis(20));
        file.write_all(b"same length").unwrap();
        assert_eq!(disk.settled().unwrap_err().kind(), Kind::Changed);
        let copied = crate::source::write_raw(&disk, &tempfile::tempfile().unwrap());
        assert_eq!(copied.unwrap_err().kind(), Kind::Changed);
    }

    #[test]
    fn a_directory_is_no_disk() {
        assert_eq!(RawFile::open(Path::new("/")).unwrap_err().kind(), Kind::Invalid);
    }
}
