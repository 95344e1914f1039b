//! What becomes of versions whose files are all there: they are judged one after the other, and published or refused. After a start,
//! what a crash left over is gone on with or taken away.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ovf::package::MemberName;
use serde_json::{Value, json};
use sqlx::{Row as _, Sqlite, Transaction};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{File, Intake, Sort, State, Version, owner_of, tenant_of};
use crate::audit::{self, Deed};
use crate::blob::{Owner, Sealed};
use crate::clock::Moment;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::log;
use crate::service::{Context, Ground};
use crate::trust::{Package, Policy, Root, Signer, judge};

/// After a failure that says nothing about a version, and between two looks for what nobody brings to its end.
const PAUSE: Duration = Duration::from_secs(60);
/// How long a version may take to come.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Keeps the catalogs for as long as the service runs.
pub async fn keep(context: Arc<Context>) {
    let Some(ground) = context.ground() else { return };
    let Some(intake) = &ground.intake else { return };
    if let Err(error) = sweep(ground, intake).await {
        log::error(error.chain());
    }
    loop {
        if let Err(error) = proceed(ground, intake).await {
            log::error(error.chain());
        }
        let _ = timeout(PAUSE, intake.completed()).await;
    }
}

async fn proceed(ground: &Ground, intake: &Intake) -> Result<()> {
    let mut db = ground.database.begin().await?;
    let whole = Version::in_state(&mut db, State::Verifying).await?;
    let coming = Version::in_state(&mut db, State::Receiving).await?;
    drop(db);
    for (version, tenant) in whole {
        // What keeps one from being judged says nothing about the others.
        if let Err(error) = decide(ground, intake, &version, tenant.as_deref()).await {
            log::error(format_args!("version {}: {}", version.id, error.chain()));
        }
    }
    let now = ground.clock.now();
    for (version, tenant) in coming {
        if now.since(version.changed) > PATIENCE {
            let mut db = ground.database.begin().await?;
            version.delete(&mut db, version.revision).await?;
            record(&mut db, &version, tenant.as_deref(), "version.expire", now).await?;
            db.commit().await?;
            remove(ground, intake, &version, tenant.as_deref()).await?;
        }
    }
    Ok(())
}

/// Judges a version, and makes it what it is to be.
async fn decide(ground: &Ground, intake: &Intake, version: &Version, tenant: Option<&str>) -> Result<()> {
    let owner = owner_of(tenant)?;
    let now = ground.clock.now();
    let mut db = ground.database.begin().await?;
    let sort = sort_of(&mut db, version).await?;
    let policy = Policy::in_force(&mut db, tenant, now).await?;
    let asked = Policy::of(&mut db, tenant).await?.0;
    let believes_nobody = asked.signer == Signer::Trusted
        && asked.pins.is_empty()
        && Root::of(&mut db, tenant).await?.is_empty();
    drop(db);

    let mut files = Vec::new();
    for file in &version.files {
        files.push(fetch(intake, owner, file).await?);
    }
    let names: Vec<_> = version.files.iter().map(|file| file.name.clone()).collect();
    let (files, judged) = spawn_blocking(move || {
        let judged = verdict(&files, &names, sort, &policy, believes_nobody);
        (files, judged)
    })
    .await
    .map_err(ended)?;
    let (accepted, verdict) = judged?;
    let tending = intake.tending.lock().await;
    if accepted {
        let blobs = Arc::clone(intake.blobs());
        let adopt = move || {
            for file in files {
                if let Whole::Sealed(sealed) = file {
                    blobs.adopt(&owner, *sealed)?;
                }
            }
            Ok::<(), Error>(())
        };
        spawn_blocking(adopt).await.map_err(ended)??;
    }
    let mut db = ground.database.begin().await?;
    let action = match accepted {
        true => {
            version.publish(&mut db, &verdict, now).await?;
            "version.publish"
        }
        false => {
            version.reject(&mut db, &verdict, now).await?;
            "version.reject"
        }
    };
    record(&mut db, version, tenant, action, now).await?;
    db.commit().await?;
    drop(tending);
    match accepted {
        true => version.files.iter().for_each(|file| intake.forget(file.id)),
        false => remove(ground, intake, version, tenant).await?,
    }
    Ok(())
}

/// A file that is there, whole.
enum Whole {
    /// In quarantine.
    Sealed(Box<Sealed>),
    /// Adopted before a crash.
    Blob(std::fs::File, u64),
}

/// What was received of a version, whoever has seen it last.
async fn fetch(intake: &Intake, owner: Owner, file: &File) -> Result<Whole> {
    let mut coming = intake.take(file)?;
    let (blobs, file) = (Arc::clone(intake.blobs()), file.clone());
    let fetch = move || {
        coming.look(&blobs, &owner, &file)?;
        coming.seal(&blobs, &owner, &file)?;
        if let super::Coming::Sealed(sealed) = std::mem::take(&mut *coming) {
            return Ok(Whole::Sealed(sealed));
        }
        let missing = || {
            Error::new(
                Kind::StateCorrupt,
                format!("the file '{}'", file.name),
                "is not there any more",
            )
        };
        let digest = file.digest.as_deref().and_then(|digest| digest.parse().ok());
        let (blob, bytes) = blobs.open_blob(&owner, &digest.ok_or_else(missing)?)?;
        Ok(Whole::Blob(blob, bytes))
    };
    spawn_blocking(fetch).await.map_err(ended)?
}

fn verdict(
    files: &[Whole],
    names: &[String],
    sort: Sort,
    policy: &ovf::verify::Policy,
    believes_nobody: bool,
) -> Result<(bool, Value)> {
    if sort == Sort::File {
        return Ok((true, json!({ "accepted": true, "checks": [] })));
    }
    let mut package = Vec::new();
    for (file, name) in files.iter().zip(names) {
        let name = MemberName::parse(name)
            .map_err(|error| Error::new(Kind::StateCorrupt, "the database", error.to_string()))?;
        let failed = |error| Error::new(Kind::Io, name.to_string(), "cannot be read").because(error);
        let (bytes, file) = match file {
            Whole::Sealed(sealed) => (sealed.size(), sealed.file()?),
            Whole::Blob(blob, bytes) => (*bytes, blob.try_clone().map_err(failed)?),
        };
        package.push((name, bytes, file));
    }
    judge(&Package::new(package), policy, believes_nobody)
}

/// Takes away what is left of a version that is in no table any more, or was refused.
///
/// # Errors
/// The database or the disk fails: what is left is found at the next start.
pub async fn remove(ground: &Ground, intake: &Intake, version: &Version, tenant: Option<&str>) -> Result<()> {
    let owner = owner_of(tenant)?;
    let _tending = intake.tending.lock().await;
    for file in &version.files {
        intake.forget(file.id);
        let digest: Option<Digest> = file.digest.as_deref().and_then(|digest| digest.parse().ok());
        let unneeded = match digest {
            Some(digest) => {
                let mut db = ground.database.begin().await?;
                (!File::is_kept(&mut db, tenant, &digest).await?).then_some(digest)
            }
            None => None,
        };
        let (blobs, id) = (Arc::clone(intake.blobs()), file.id);
        let remove = move || {
            blobs.discard(&owner, id)?;
            unneeded.map_or(Ok(()), |digest| blobs.remove(&owner, &digest))
        };
        spawn_blocking(remove).await.map_err(ended)??;
    }
    Ok(())
}

/// Takes away what no table names, and seals what was whole when a crash came.
async fn sweep(ground: &Ground, intake: &Intake) -> Result<()> {
    let mut db = ground.database.begin().await?;
    let mut known = HashSet::new();
    let coming = Version::in_state(&mut db, State::Receiving).await?;
    for (version, _) in coming
        .iter()
        .chain(&Version::in_state(&mut db, State::Verifying).await?)
    {
        known.extend(version.files.iter().map(|file| file.id));
    }
    drop(db);
    let tending = intake.tending.lock().await;
    let blobs = Arc::clone(intake.blobs());
    let owners = spawn_blocking(move || blobs.owners()).await.map_err(ended)??;
    for owner in owners {
        let (blobs, known) = (Arc::clone(intake.blobs()), known.clone());
        let look = move || {
            for id in blobs.quarantined(&owner)? {
                if !known.contains(&id) {
                    blobs.discard(&owner, id)?;
                }
            }
            blobs.list(&owner)
        };
        for digest in spawn_blocking(look).await.map_err(ended)?? {
            let mut db = ground.database.begin().await?;
            if !File::is_kept(&mut db, tenant_of(&owner).as_deref(), &digest).await? {
                drop(db);
                let blobs = Arc::clone(intake.blobs());
                spawn_blocking(move || blobs.remove(&owner, &digest))
                    .await
                    .map_err(ended)??;
            }
        }
    }
    drop(tending);
    for (version, tenant) in &coming {
        arrive(ground, intake, version, tenant.as_deref()).await?;
    }
    Ok(())
}

/// Writes down what is whole of a version, and that all is, if it is.
async fn arrive(ground: &Ground, intake: &Intake, version: &Version, tenant: Option<&str>) -> Result<()> {
    let owner = owner_of(tenant)?;
    for file in version.files.iter().filter(|file| file.digest.is_none()) {
        let mut coming = intake.take(file)?;
        let (blobs, file) = (Arc::clone(intake.blobs()), file.clone());
        let (file, sealed) = spawn_blocking(move || {
            let looked = coming.look(&blobs, &owner, &file);
            let sealed = looked.and_then(|_| coming.seal(&blobs, &owner, &file));
            (file, sealed)
        })
        .await
        .map_err(ended)?;
        match sealed {
            Ok(Some(digest)) => {
                version.arrived(ground, &file, &digest).await?;
            }
            Ok(None) => {}
            Err(error) => log::warn(error.chain()),
        }
    }
    Ok(())
}

impl Version {
    /// Writes down that a file is there, and tells whether that was the last one.
    ///
    /// # Errors
    /// The database fails; [`Kind::Changed`] where the version comes no more.
    pub async fn arrived(&self, ground: &Ground, file: &File, digest: &Digest) -> Result<bool> {
        let mut db = ground.database.begin().await?;
        file.arrived(&mut db, digest).await?;
        let files = File::list(&mut db, &self.id).await?;
        let is_whole = files.iter().all(|file| file.digest.is_some());
        if is_whole {
            self.complete(&mut db, ground.clock.now()).await?;
        }
        db.commit().await?;
        if let (true, Some(intake)) = (is_whole, &ground.intake) {
            intake.is_complete();
        }
        Ok(is_whole)
    }
}

async fn sort_of(db: &mut Transaction<'_, Sqlite>, version: &Version) -> Result<Sort> {
    let row = sqlx::query("SELECT kind FROM items WHERE id = $1")
        .bind(&version.item)
        .fetch_one(&mut **db)
        .await?;
    Ok(match row.get::<String, _>("kind").as_str() {
        "package" => Sort::Package,
        _ => Sort::File,
    })
}

async fn record(
    db: &mut Transaction<'_, Sqlite>,
    version: &Version,
    tenant: Option<&str>,
    action: &str,
    now: Moment,
) -> Result<()> {
    let deed = Deed {
        actor: "catalog",
        tenant,
        action,
        object: &version.id,
        outcome: "done",
    };
    audit::record(db, deed, now).await
}

fn ended(error: tokio::task::JoinError) -> Error {
    Error::new(Kind::Io, "the catalogs", "the service ends").because(error)
}
