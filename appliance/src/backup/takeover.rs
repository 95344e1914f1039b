//! Putting a state in the place of another, in steps that a crash can fall between.
//!
//! ```text
//! DIR/restore.new/                    a backup that is being read and checked; swept when the directory is next opened
//! DIR/restoring/new/                  one that was checked: from here on it is moved into place, by whoever opens DIR next
//! DIR/restoring/{identity,..}         what was in its place
//! DIR/replaced-20260102T030405Z/      the same, when all is done
//! ```

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::manifest::{self, Manifest};
use crate::error::{Error, Kind, Result};
use crate::file;

/// Where a backup is read to.
pub(super) const STAGING: &str = "restore.new";
/// In it, what is new.
pub(super) const NEW: &str = "new";

const RESTORING: &str = "restoring";
const LIMIT: usize = 64 << 10;
/// All that is replaced. The files beside the database belong to it.
const NAMES: [&str; 4] = ["identity", "vcc.db", "vcc.db-wal", "vcc.db-shm"];

/// What of a state is there, if anything is.
pub(super) fn present(root: &Path) -> Option<&'static str> {
    NAMES.into_iter().find(|name| is_there(&root.join(name)))
}

/// Refuses a directory in which a restore was cut off.
pub(super) fn refuse_half_done(root: &Path) -> Result<()> {
    match is_there(&root.join(RESTORING)) {
        true => Err(Error::new(
            Kind::Changed,
            root.join(RESTORING).display().to_string(),
            "a restore is not finished; the service finishes it when it starts",
        )),
        false => Ok(()),
    }
}

/// Decides for what was checked in [`STAGING`], and moves it into place; gives where the former state is, if there was one.
pub(super) fn commit(root: &Path) -> Result<Option<PathBuf>> {
    rename(&root.join(STAGING), &root.join(RESTORING))?;
    file::sync_directory(root)?;
    finish(root)
}

/// Finishes a restore that was decided for, if there is one. Whoever calls it holds the directory's lock.
pub(crate) fn finish(root: &Path) -> Result<Option<PathBuf>> {
    let aside = root.join(RESTORING);
    if !is_there(&aside) {
        return Ok(None);
    }
    let new = aside.join(NEW);
    let list = new.join(manifest::NAME);
    // Without it everything is in its place already.
    if is_there(&list) {
        let manifest = Manifest::read(&file::read(&list, LIMIT)?)?;
        for name in NAMES {
            let (own, next) = (root.join(name), new.join(name));
            let is_new = manifest.holds(name);
            if is_new && !is_there(&next) {
                continue;
            }
            if is_there(&own) {
                rename(&own, &aside.join(name))?;
            }
            if is_new {
                rename(&next, &own)?;
            }
        }
        for directory in [root, &aside, &new] {
            file::sync_directory(directory)?;
        }
        #[cfg(test)]
        tests::step(&list)?;
        std::fs::remove_file(&list).map_err(|error| Error::file(&list, "remove", error))?;
        file::sync_directory(&new)?;
    }
    #[cfg(test)]
    tests::step(&new)?;
    if is_there(&new) {
        std::fs::remove_dir_all(&new).map_err(|error| Error::file(&new, "remove", error))?;
    }
    if std::fs::remove_dir(&aside).is_ok() {
        return Ok(None);
    }
    let kept = free_name(root);
    rename(&aside, &kept)?;
    file::sync_directory(root)?;
    Ok(Some(kept))
}

fn free_name(root: &Path) -> PathBuf {
    let now = OffsetDateTime::now_utc();
    let stamp = format!(
        "replaced-{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    );
    let names = (2..1000).map(|number| format!("{stamp}-{number}"));
    let mut paths = std::iter::once(stamp.clone())
        .chain(names)
        .map(|name| root.join(name));
    paths
        .find(|path| !is_there(path))
        .unwrap_or_else(|| root.join(stamp))
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    #[cfg(test)]
    tests::step(from)?;
    std::fs::rename(from, to).map_err(|error| Error::file(from, "move", error))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::super::manifest::KNOWN;
    use super::*;

    thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    /// Fails where the process is to end.
    pub(super) fn step(at: &Path) -> Result<()> {
        let left = STEPS.get();
        match left {
            0 => Err(Error::new(Kind::Io, at.display().to_string(), "a crash")),
            _ => {
                STEPS.set(left - 1);
                Ok(())
            }
        }
    }

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_crash_after_any_step_leaves_the_former_state_or_the_new_one_and_loses_neither() {
        let members = KNOWN.map(|(name, _)| json!({ "name": name, "size": 1, "sha256": "0".repeat(64) }));
        let manifest = json!({
            "format": "vcc-backup", "version": 1, "made": "2026-01-02T03:04:05Z", "program": "1",
            "instance": uuid::Uuid::nil(), "members": members,
        });
        let mut ends = 0;
        for steps in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            for (name, _) in KNOWN {
                write(&root.join(name), "former");
                write(&root.join(STAGING).join(NEW).join(name), "new");
            }
            write(&root.join("vcc.db-wal"), "former");
            let list = root.join(STAGING).join(NEW).join(manifest::NAME);
            write(&list, &manifest.to_string());
            STEPS.set(steps);
            let done = commit(root);
            STEPS.set(usize::MAX);
            let finished = finish(root).unwrap();
            let (first, others) = KNOWN.split_first().unwrap();
            let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
            let text = read(first.0);
            assert!(others.iter().all(|(name, _)| read(name) == text), "{steps}");
            assert_eq!(is_there(&root.join("vcc.db-wal")), text == "former", "{steps}");
            let kept = done.as_ref().ok().cloned().flatten().or(finished);
            match kept {
                None => assert_eq!(text, "former", "{steps}"),
                Some(kept) => {
                    assert_eq!(text, "new", "{steps}");
                    for (name, _) in KNOWN {
                        assert_eq!(std::fs::read_to_string(kept.join(name)).unwrap(), "former");
                    }
                    assert!(is_there(&kept.join("vcc.db-wal")));
                    assert!(!is_there(&kept.join(NEW)) && !is_there(&root.join(RESTORING)));
                }
            }
            ends = steps;
            if done.is_ok() {
                break;
            }
        }
        assert!(ends > 8, "{ends}");
    }
}
