//! Making a backup while the service goes on.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::manifest::{DATABASE, KNOWN, Manifest};
use super::{archive, owner, takeover};
use crate::clock::Moment;
use crate::database::{self, Database};
use crate::error::{Error, Kind, Result};
use crate::file;
use crate::identity::Identity;

const ARCHIVE: &str = "backup.tar";
const SMALL: usize = 64 << 10;

/// Writes a backup of a state directory to `output`, a new file of mode 0600, which is there whole or not at all. The service
/// may go on meanwhile: the database is copied as it is at one moment.
///
/// # Errors
/// [`Kind::StateMissing`] where there is none, [`Kind::StateOwner`] for another user's, [`Kind::Taken`] for an output that is there already, [`Kind::Changed`] where the
/// state was replaced meanwhile; [`Kind::StateCorrupt`] and [`Kind::Identity`] for a state that could not be restored.
pub async fn save(state: &Path, output: &Path, now: Moment) -> Result<Manifest> {
    file::demand_new(output)?;
    owner::demand(state)?;
    let before = small(state)?;
    let instance = Identity::load_from(state)?.instance_id();
    let staging = Staging::begin(output)?;
    database::copy(state, &staging.0.join(DATABASE)).await?;
    Database::verify(&staging.0.join(DATABASE)).await?;
    if small(state)? != before {
        return Err(Error::new(
            Kind::Changed,
            state.display().to_string(),
            "was replaced meanwhile",
        ));
    }
    let mut members = Vec::new();
    for (name, bytes) in &before {
        let (directory, name) = name.split_once('/').unwrap_or((".", name));
        let directory = staging.0.join(directory);
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&directory)
            .and_then(|()| file::write_new(&directory.join(name), bytes, 0o600))
            .map_err(|error| Error::file(&directory, "write", error))?;
    }
    for name in before.iter().map(|(name, _)| *name).chain([DATABASE]) {
        members.push(archive::member(&staging.0, name)?);
    }
    let manifest = Manifest::new(instance, now, members);
    let complete = staging.0.join(ARCHIVE);
    archive::write(&manifest, &staging.0, &complete)?;
    file::rename_new(&complete, output)?;
    file::sync_directory(&folder_of(output))?;
    Ok(manifest)
}

fn taken(path: &Path, reason: &str) -> Error {
    Error::new(Kind::Taken, path.display().to_string(), reason)
}

/// The files beside the database, which never change while a state is in use.
fn small(state: &Path) -> Result<Vec<(&'static str, Vec<u8>)>> {
    takeover::refuse_half_done(state)?;
    if !state.join(DATABASE).exists() {
        let reason = "there is no state of a connector here";
        return Err(Error::new(
            Kind::StateMissing,
            state.display().to_string(),
            reason,
        ));
    }
    KNOWN
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| *name != DATABASE)
        .map(|name| Ok((name, file::read(&state.join(name), SMALL)?)))
        .collect()
}

/// A directory beside the output, for this user alone; gone when it is dropped. One that a crash left is taken over.
struct Staging(PathBuf, #[expect(dead_code, reason = "holds the lock")] File);

impl Staging {
    fn begin(output: &Path) -> Result<Self> {
        let mut name = output.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let path = folder_of(output).join(name);
        let failed = |error| Error::file(&path, "make the directory", error);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let metadata = path.symlink_metadata().map_err(failed)?;
        let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.is_dir() || !is_ours || metadata.mode() & 0o077 != 0 {
            return Err(taken(&path, "is in use"));
        }
        let directory = File::open(&path).map_err(failed)?;
        flock(&directory, FlockOperation::NonBlockingLockExclusive).map_err(|_| taken(&path, "is in use"))?;
        let own = Self(path, directory);
        own.clear();
        Ok(own)
    }

    /// Takes away what a backup makes, and nothing else that may be there.
    fn clear(&self) {
        for name in [DATABASE, "vcc.db-journal", ARCHIVE] {
            let _ = std::fs::remove_file(self.0.join(name));
        }
        for (name, _) in KNOWN {
            let _ = std::fs::remove_file(self.0.join(name));
        }
        let _ = std::fs::remove_dir(self.0.join("identity"));
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.clear();
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn folder_of(output: &Path) -> PathBuf {
    match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
