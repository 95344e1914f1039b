//! The files of the log: one that is written, and those before it, each of bounded length.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::store::Space;

/// The folder in the state directory.
const FOLDER: &str = "logs";
/// The file that is written; `vcc.log.1` is the one before it.
const NAME: &str = "vcc.log";
/// The longest file in bytes.
const LONGEST: u64 = 1 << 20;
/// How many there are at most.
const MOST: u32 = 8;
/// What is left of a disk is the database's.
const LEAST_SPACE: u64 = 4 << 20;

/// The log in a state directory.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    longest: u64,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    file: File,
    length: u64,
    /// Its last line has no end.
    is_torn: bool,
}

impl Files {
    /// Those of a state directory; nothing is touched yet.
    pub(super) fn of(state: &Path) -> Self {
        Self {
            folder: state.join(FOLDER),
            longest: LONGEST,
            current: None,
        }
    }

    /// Adds a line, its newline included.
    ///
    /// # Errors
    /// What the system says, and [`io::ErrorKind::StorageFull`] where little is left of the disk.
    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        let length = line.len() as u64;
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.length + length > self.longest)
        {
            self.rotate()?;
        }
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&self.folder)?;
                let current = Current::open(&self.folder.join(NAME))?;
                self.current.insert(current)
            }
        };
        if Space::of(&self.folder).is_ok_and(|space| space.available < LEAST_SPACE) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if current.is_torn {
            current.file.write_all(b"\n")?;
            (current.length, current.is_torn) = (current.length + 1, false);
        }
        current.is_torn = true;
        current.file.write_all(line.as_bytes())?;
        (current.length, current.is_torn) = (current.length + length, false);
        Ok(())
    }

    /// Sees that what was added is on the disk.
    pub(super) fn sync(&self) {
        if let Some(current) = &self.current {
            // The lines are in the kernel's hands; a disk that fails is told of by those who need it.
            let _ = current.file.sync_data();
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.sync();
        self.current = None;
        let name = |number: u32| match number {
            0 => self.folder.join(NAME),
            number => self.folder.join(format!("{NAME}.{number}")),
        };
        for number in (0..MOST - 1).rev() {
            match std::fs::rename(name(number), name(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Current {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        Ok(Self {
            file,
            length,
            is_torn: last != [b'\n'],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_after_a_start_and_one_that_a_crash_tore_ends() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("logs/vcc.log");
        Files::of(state.path()).append("one\n").unwrap();
        std::fs::write(&path, "one\ntw").unwrap();
        Files::of(state.path()).append("three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntw\nthree\n");
    }

    #[test]
    fn they_are_bounded_and_the_newest_lines_are_there() {
        let state = tempfile::tempdir().unwrap();
        let mut files = Files {
            longest: 100,
            ..Files::of(state.path())
        };
        for number in 0..1000 {
            files.append(&format!("line {number}\n")).unwrap();
        }
        let folder = state.path().join("logs");
        let (mut count, mut lines) = (0, String::new());
        for number in (0..=MOST).rev() {
            let name = match number {
                0 => NAME.to_owned(),
                number => format!("{NAME}.{number}"),
            };
            if let Ok(text) = std::fs::read_to_string(folder.join(name)) {
                assert!(text.len() <= 100);
                count += 1;
                lines.push_str(&text);
            }
        }
        assert_eq!(count, MOST);
        let first: u32 = lines
            .lines()
            .next()
            .unwrap()
            .strip_prefix("line ")
            .unwrap()
            .parse()
            .unwrap();
        let expected: String = (first..1000).map(|number| format!("line {number}\n")).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_link_in_its_place_leads_nowhere() {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("logs")).unwrap();
        std::fs::write(state.path().join("key"), "").unwrap();
        std::os::unix::fs::symlink(state.path().join("key"), state.path().join("logs/vcc.log")).unwrap();
        assert!(Files::of(state.path()).append("line\n").is_err());
        assert_eq!(std::fs::read(state.path().join("key")).unwrap(), b"");
    }
}
