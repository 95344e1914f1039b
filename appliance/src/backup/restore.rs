//! Putting a backup in place.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::manifest::{self, DATABASE, Manifest};
use super::takeover::{self, NEW, STAGING};
use super::{archive, owner};
use crate::audit::{self, Deed};
use crate::authority::Keys;
use crate::catalog;
use crate::clock::Moment;
use crate::database::Database;
use crate::error::{Error, Kind, Result};
use crate::file;
use crate::identity::Identity;
use crate::node;
use crate::receiving;
use crate::store::Store;

/// What was restored.
#[derive(Debug, Clone)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Where the state is that was there before.
    pub replaced: Option<PathBuf>,
}

/// Puts a backup into a state directory that no process uses: where there is no state, or with `replace` in the place of
/// what is there, which is kept beside it. Nothing changes before all of the backup is read and checked; a crash
/// leaves the one state or the other.
///
/// # Errors
/// [`Kind::StateOwner`] for another user's state, [`Kind::Taken`] where there is one that is not to be replaced,
/// [`Kind::StateLocked`] while a service runs;
/// [`Kind::Malformed`], [`Kind::Ceiling`], [`Kind::Identity`] and [`Kind::StateCorrupt`] for a backup that is none.
pub async fn restore(state: &Path, backup: &Path, replace: bool, now: Moment) -> Result<Restored> {
    owner::demand(state)?;
    let store = Store::open(state)?;
    store.demand_lock()?;
    let root = store.root();
    if let Some(name) = takeover::present(root).filter(|_| !replace) {
        let place = root.join(name).display().to_string();
        return Err(Error::new(Kind::Taken, place, "there is a state already"));
    }
    let staging = root.join(STAGING);
    let read = take(backup, &staging, root, now).await;
    let done = match read {
        Ok(manifest) => takeover::commit(root).map(|replaced| Restored { manifest, replaced }),
        Err(error) => Err(error),
    };
    // Where it was decided for it has another name by now.
    let _ = std::fs::remove_dir_all(&staging);
    done
}

/// Reads and checks.
async fn take(backup: &Path, staging: &Path, root: &Path, now: Moment) -> Result<Manifest> {
    let new = staging.join(NEW);
    for directory in [staging, &new] {
        DirBuilder::new()
            .mode(0o700)
            .create(directory)
            .map_err(|error| Error::file(directory, "make the directory", error))?;
    }
    let manifest = archive::read(backup, &new)?;
    if Identity::load_from(&new)?.instance_id() != manifest.instance {
        let reason = "names another instance than the backup holds";
        return Err(Error::new(Kind::Malformed, manifest::NAME, reason));
    }
    Database::verify(&new.join(DATABASE)).await?;
    let before = memory_of(root, &manifest).await;
    note(&new, &manifest, before, now).await?;
    file::replace_durably(&new, manifest::NAME, &manifest.bytes()?)?;
    file::sync_directory(staging)?;
    Ok(manifest)
}

/// What the state that is replaced remembers of the past, if it is of the same instance and can be read.
async fn memory_of(root: &Path, manifest: &Manifest) -> Option<catalog::Past> {
    let own = Identity::load_from(root).ok()?;
    if own.instance_id() != manifest.instance || !root.join(DATABASE).exists() {
        return None;
    }
    let database = Database::open(root).await.ok()?;
    let past = match database.begin().await {
        Ok(mut db) => catalog::Past::read(&mut db).await.ok(),
        Err(_) => None,
    };
    database.close().await;
    past
}

/// Writes down in the new state that it is a restored one: a server's nodes, and subscribers to a node's catalogs, may have gone on
/// meanwhile.
async fn note(new: &Path, manifest: &Manifest, before: Option<catalog::Past>, now: Moment) -> Result<()> {
    let database = Database::open(new).await?;
    let mut db = database.begin().await?;
    if Keys::are_there(&mut db).await? {
        // Damaged ones are found before anything changes.
        Keys::read(&mut db).await?;
        node::expect_ahead(&mut db, now).await?;
    }
    // A node that knows less than it did takes no grant that it may have used, and nothing that it had newer.
    receiving::refuse_grants_before(&mut db, now).await?;
    if let Some(before) = before {
        before.carry_over(&mut db).await?;
    }
    catalog::count_on(&mut db).await?;
    let deed = Deed {
        actor: "vcc restore",
        tenant: None,
        action: "state.restore",
        object: &manifest.instance.to_string(),
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    db.commit().await?;
    database.close().await;
    let left = ["vcc.db-wal", "vcc.db-shm"].map(|name| new.join(name));
    match left.iter().find(|path| path.exists()) {
        Some(path) => Err(Error::new(
            Kind::Database,
            path.display().to_string(),
            "was not closed",
        )),
        None => Ok(()),
    }
}
