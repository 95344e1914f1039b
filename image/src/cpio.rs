//! The cpio archive that the Linux kernel unpacks as its first root directory ("newc", without checksums).
//!
//! After the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`. Entries come in order of path, are
//! owned by root, bear one given time, and are numbered from 1: the same content gives the same bytes.
//!
//! ```
//! let mut archive = image::cpio::Archive::new(0);
//! archive.file("init", 0o755, b"\x7fELF".to_vec())?;
//! archive.char_device("dev/console", 0o600, 5, 1)?;
//! assert!(archive.render().starts_with(b"070701"));
//! # Ok::<(), image::error::Error>(())
//! ```

use std::collections::BTreeMap;

use crate::error::{Error, Kind, Place, Result};

const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";
const PATH_LIMIT: usize = 4095;

/// An archive being put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Seconds since 1970 that every entry bears.
    time: u32,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// File type and permissions, as in `st_mode`.
    mode: u32,
    /// Major and minor number of a device.
    device: (u32, u32),
    /// A file's content or a link's target.
    data: Vec<u8>,
}

impl Archive {
    /// An empty archive; its entries bear `time`, in seconds since 1970.
    pub fn new(time: u32) -> Self {
        Self {
            time,
            entries: BTreeMap::new(),
        }
    }

    /// Adds a directory. Parents that are missing are made, with mode 0755.
    ///
    /// # Errors
    /// [`Kind::Invalid`] for a path that is not relative and plain (no `.`, `..`, empty part or zero byte; at most
    /// 4095 bytes) or a mode above 07777; [`Kind::Overlap`] for a path that is taken or whose parent is no directory.
    pub fn directory(&mut self, path: &str, mode: u32) -> Result<()> {
        self.add(path, 0o040_000, mode, (0, 0), Vec::new())
    }

    /// Adds a regular file.
    ///
    /// # Errors
    /// As [`Archive::directory`]; [`Kind::Capacity`] for 4 GiB and more.
    pub fn file(&mut self, path: &str, mode: u32, data: Vec<u8>) -> Result<()> {
        self.add(path, 0o100_000, mode, (0, 0), data)
    }

    /// Adds a symbolic link to `target`.
    ///
    /// # Errors
    /// As [`Archive::directory`]; [`Kind::Invalid`] for a target that is empty, too long or has a zero byte.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<()> {
        if target.is_empty() || target.len() > PATH_LIMIT || target.contains('\0') {
            return Err(Error::invalid(
                Place::File(path.into()),
                "cannot link to that target",
            ));
        }
        self.add(path, 0o120_000, 0o777, (0, 0), target.into())
    }

    /// Adds a character device.
    ///
    /// # Errors
    /// As [`Archive::directory`].
    pub fn char_device(&mut self, path: &str, mode: u32, major: u32, minor: u32) -> Result<()> {
        self.add(path, 0o020_000, mode, (major, minor), Vec::new())
    }

    /// The archive's bytes, padded to 512.
    pub fn render(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, (path, entry)) in (1..).zip(&self.entries) {
            entry.render(number, path, self.time, &mut bytes);
        }
        Entry {
            mode: 0,
            device: (0, 0),
            data: Vec::new(),
        }
        .render(0, TRAILER, 0, &mut bytes);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    fn add(&mut self, path: &str, kind: u32, mode: u32, device: (u32, u32), data: Vec<u8>) -> Result<()> {
        let place = || Place::File(path.to_owned());
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
        if path.len() > PATH_LIMIT || !path.split('/').all(plain) || path == TRAILER || mode > 0o7777 {
            return Err(Error::invalid(place(), "cannot be an archive's entry"));
        }
        if u32::try_from(data.len()).is_err() {
            return Err(Error::new(
                Kind::Capacity,
                place(),
                "a file of 4 GiB or more does not fit a cpio archive",
            ));
        }
        if self.entries.contains_key(path) {
            return Err(Error::new(Kind::Overlap, place(), "is in the archive already"));
        }
        for (end, _) in path.match_indices('/') {
            let parent = Entry {
                mode: 0o040_755,
                device: (0, 0),
                data: Vec::new(),
            };
            let parent = self.entries.entry(path[..end].to_owned()).or_insert(parent);
            if parent.mode & 0o170_000 != 0o040_000 {
                return Err(Error::new(
                    Kind::Overlap,
                    place(),
                    "lies below what is no directory",
                ));
            }
        }
        self.entries.insert(
            path.to_owned(),
            Entry {
                mode: kind | mode,
                device,
                data,
            },
        );
        Ok(())
    }
}

impl Entry {
    fn render(&self, number: u32, path: &str, time: u32, bytes: &mut Vec<u8>) {
        let links = if self.mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
        let size = u32::try_from(self.data.len()).expect("checked when the entry was added");
        let name_size = u32::try_from(path.len() + 1).expect("a path has at most 4095 bytes");
        bytes.extend(MAGIC.bytes());
        let (major, minor) = self.device;
        for field in [
            number, self.mode, 0, 0, links, time, size, 0, 0, major, minor, name_size, 0,
        ] {
            bytes.extend(format!("{field:08x}").bytes());
        }
        bytes.extend(path.bytes());
        bytes.push(0);
        pad(bytes);
        bytes.extend(&self.data);
        pad(bytes);
    }
}

/// Names and contents begin at multiples of four.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    fn sample() -> Archive {
        let mut archive = Archive::new(86_400);
        archive.symlink("sbin/poweroff", "/init").unwrap();
        archive.file("init", 0o755, b"program".to_vec()).unwrap();
        archive.char_device("dev/console", 0o600, 5, 1).unwrap();
        archive.directory("proc", 0o555).unwrap();
        archive.file("lib/modules/index", 0o644, vec![]).unwrap();
        archive
    }

    #[test]
    fn cpio_lists_what_was_put_in() {
        let child = Command::new("cpio")
            .args(["--quiet", "-itvn"])
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!("skipped: cpio is not installed");
            return;
        };
        child.stdin.take().unwrap().write_all(&sample().render()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<String> = text
            .lines()
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let expected = [
            "drwxr-xr-x 2 0 0 0 Jan 2 1970 dev",
            "crw------- 1 0 0 5, 1 Jan 2 1970 dev/console",
            "-rwxr-xr-x 1 0 0 7 Jan 2 1970 init",
            "drwxr-xr-x 2 0 0 0 Jan 2 1970 lib",
            "drwxr-xr-x 2 0 0 0 Jan 2 1970 lib/modules",
            "-rw-r--r-- 1 0 0 0 Jan 2 1970 lib/modules/index",
            "dr-xr-xr-x 2 0 0 0 Jan 2 1970 proc",
            "drwxr-xr-x 2 0 0 0 Jan 2 1970 sbin",
            "lrwxrwxrwx 1 0 0 5 Jan 2 1970 sbin/poweroff -> /init",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn parents_come_before_what_they_hold() {
        let mut archive = Archive::new(0);
        for path in ["a/b", "a-b", "a.b", "a/b.c"] {
            archive.file(path, 0o644, vec![]).unwrap();
        }
        let paths: Vec<&String> = archive.entries.keys().collect();
        assert_eq!(paths[0], "a");
    }

    #[test]
    fn paths_that_escape_clash_or_mislead_are_refused() {
        let mut archive = sample();
        for path in [
            "/etc/passwd",
            "../x",
            "a//b",
            "a/./b",
            "",
            "a\0b",
            "TRAILER!!!",
            &"x".repeat(5000),
        ] {
            assert_eq!(
                archive.file(path, 0o644, vec![]).unwrap_err().kind(),
                Kind::Invalid,
                "{path:?}"
            );
        }
        assert_eq!(
            archive.file("init", 0o644, vec![]).unwrap_err().kind(),
            Kind::Overlap
        );
        assert_eq!(
            archive.file("init/x", 0o644, vec![]).unwrap_err().kind(),
            Kind::Overlap
        );
        assert_eq!(
            archive.directory("x", 0o100_755).unwrap_err().kind(),
            Kind::Invalid
        );
    }
}
