//! Chunk indexes of published files: each large one is read once more after its publication, which nobody waits for.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::keeper::ended;
use super::{File, Intake, owner_of, tenant_of};
use crate::blob::Owner;
use crate::chunk::{Index, SMALLEST};
use crate::digest::Digest;
use crate::error::{Kind, Result};
use crate::log;
use crate::service::Ground;

/// Between two looks for what is missing though nothing was published: an index may have been found to be damaged.
const PAUSE: Duration = Duration::from_secs(3600);
/// Files that are looked at together.
const PAGE: u32 = 128;

/// Makes what is missing, for as long as it is polled.
pub(super) async fn run(ground: &Ground, intake: &Intake) {
    let mut hopeless = HashSet::new();
    loop {
        if let Err(error) = look(ground, intake, &mut hopeless).await {
            log::error(error.chain());
        }
        let _ = timeout(PAUSE, intake.published()).await;
    }
}

/// `hopeless` are those that are not read again, for as long as the service runs: damaged ones, and ones that no index can hold.
async fn look(ground: &Ground, intake: &Intake, hopeless: &mut HashSet<(Owner, Digest)>) -> Result<()> {
    let mut after = String::new();
    loop {
        let mut db = ground.database.begin().await?;
        let page = File::published(&mut db, SMALLEST, &after, PAGE).await?;
        drop(db);
        let Some((last, ..)) = page.last() else {
            return Ok(());
        };
        after.clone_from(last);
        for (_, tenant, digest) in page {
            let owner = owner_of(tenant.as_deref())?;
            let Some(digest) = digest.filter(|digest| !hopeless.contains(&(owner, *digest))) else {
                continue;
            };
            // What keeps one from being made says nothing about the others.
            if let Err(error) = make(ground, intake, owner, digest).await {
                log::warn(format_args!("no chunk index: {}", error.chain()));
                if matches!(error.kind(), Kind::StateCorrupt | Kind::Ceiling) {
                    hopeless.insert((owner, digest));
                }
            }
        }
    }
}

async fn make(ground: &Ground, intake: &Intake, owner: Owner, digest: Digest) -> Result<()> {
    let wanted = Wanted::default();
    let (blobs, is_wanted) = (Arc::clone(intake.blobs()), Arc::clone(&wanted.0));
    let build = move || -> Result<bool> {
        if Index::open(&blobs, &owner, &digest)?.is_some() {
            return Ok(false);
        }
        let is_wanted = || is_wanted.load(Ordering::Relaxed);
        Ok(Index::build(&blobs, &owner, &digest, &is_wanted)?.is_some())
    };
    match spawn_blocking(build).await.map_err(ended)? {
        Ok(false) => return Ok(()),
        Ok(true) => {}
        // It was taken away meanwhile.
        Err(error) if error.kind() == Kind::Unknown => return Ok(()),
        Err(error) => return Err(error),
    }
    let _tending = intake.tending.lock().await;
    let mut db = ground.database.begin().await?;
    let is_kept = File::is_kept(&mut db, tenant_of(&owner).as_deref(), &digest).await?;
    drop(db);
    if !is_kept {
        // The blob went while it was read.
        let blobs = Arc::clone(intake.blobs());
        spawn_blocking(move || blobs.remove_index(&owner, &digest))
            .await
            .map_err(ended)??;
    }
    Ok(())
}

/// Whoever reads a large file stops when nobody waits for it any more: a service that ends waits for its threads.
struct Wanted(Arc<AtomicBool>);

impl Default for Wanted {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
