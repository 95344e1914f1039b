//! After a start: what a crash left over of files is gone on with, or taken away.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::keeper::ended;
use super::{File, Intake, State, Version, owner_of, tenant_of};
use crate::blob::Owner;
use crate::error::{Kind, Result};
use crate::log;
use crate::service::{Context, Ground};

/// What a restore calls the state that it replaced.
const REPLACED: &str = "replaced-";

pub(super) async fn run(context: &Context, ground: &Ground, intake: &Intake) -> Result<()> {
    let blobs = Arc::clone(intake.blobs());
    let owners = spawn_blocking(move || blobs.owners()).await.map_err(ended)??;
    let may_remove = ground.setup.is_done() && !may_go_back(context);
    for owner in owners {
        quarantine(ground, intake, owner).await?;
        if may_remove {
            blobs_without_name(ground, intake, owner).await?;
        }
    }
    let blobs = Arc::clone(intake.blobs());
    spawn_blocking(move || blobs.sweep_indexes())
        .await
        .map_err(ended)??;
    let mut db = ground.database.begin().await?;
    let coming = Version::in_state(&mut db, State::Receiving).await?;
    drop(db);
    for (version, tenant) in &coming {
        if let Err(error) = arrive(ground, intake, version, tenant.as_deref()).await {
            log::warn(error.chain());
        }
    }
    Ok(())
}

/// Whether the state that a restore replaced is still there: whoever goes back to it wants its files.
fn may_go_back(context: &Context) -> bool {
    let entries = context.state_directory().and_then(|root| root.read_dir().ok());
    let mut names = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with(REPLACED))
}

/// Rows are written before files: what is there and has no row had one once.
async fn quarantine(ground: &Ground, intake: &Intake, owner: Owner) -> Result<()> {
    let blobs = Arc::clone(intake.blobs());
    let ids: Vec<Uuid> = spawn_blocking(move || blobs.quarantined(&owner))
        .await
        .map_err(ended)??;
    for id in ids {
        let mut db = ground.database.begin().await?;
        let is_expected = File::is_expected(&mut db, id).await?;
        drop(db);
        if !is_expected {
            let blobs = Arc::clone(intake.blobs());
            spawn_blocking(move || blobs.discard(&owner, id))
                .await
                .map_err(ended)??;
        }
    }
    Ok(())
}

async fn blobs_without_name(ground: &Ground, intake: &Intake, owner: Owner) -> Result<()> {
    let blobs = Arc::clone(intake.blobs());
    let digests = spawn_blocking(move || blobs.list(&owner))
        .await
        .map_err(ended)??;
    for digest in digests {
        // Nobody adopts it meanwhile.
        let _tending = intake.tending.lock().await;
        let mut db = ground.database.begin().await?;
        let is_kept = File::is_kept(&mut db, tenant_of(&owner).as_deref(), &digest).await?;
        drop(db);
        if !is_kept {
            let blobs = Arc::clone(intake.blobs());
            spawn_blocking(move || blobs.remove(&owner, &digest))
                .await
                .map_err(ended)??;
        }
    }
    Ok(())
}

/// Seals what was whole when a crash came, and writes it down.
async fn arrive(ground: &Ground, intake: &Intake, version: &Version, tenant: Option<&str>) -> Result<()> {
    let owner = owner_of(tenant)?;
    for file in version.files.iter().filter(|file| file.digest.is_none()) {
        let (blobs, id) = (Arc::clone(intake.blobs()), file.id);
        let known = spawn_blocking(move || blobs.received(&owner, id))
            .await
            .map_err(ended)?;
        match known {
            Ok((received, size)) if received == size => {}
            _ => continue,
        }
        // Whoever goes on with it sees to it.
        let Ok(mut coming) = intake.take(file) else {
            continue;
        };
        let (blobs, wanted) = (Arc::clone(intake.blobs()), file.clone());
        let seal = move || {
            coming.look(&blobs, &owner, &wanted)?;
            coming.seal(&blobs, &owner, &wanted)
        };
        let sealed = spawn_blocking(seal).await.map_err(ended)?;
        intake.rest(file.id);
        match sealed {
            Ok(Some(digest)) => {
                version.arrived(ground, file, &digest).await?;
            }
            Ok(None) => {}
            Err(error) if error.kind() == Kind::Mismatch => log::warn(error.chain()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
