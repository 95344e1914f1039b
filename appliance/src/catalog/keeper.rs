//! What becomes of versions whose files are all there: they are judged one after the other, and published or refused.

use std::sync::Arc;
use std::time::Duration;

use ovf::package::MemberName;
use serde_json::{Value, json};
use sqlx::{Sqlite, Transaction};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Coming, File, Intake, Sort, State, Version, owner_of, sweep};
use crate::audit::{self, Deed};
use crate::blob::{Owner, Sealed};
use crate::clock::Moment;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::log;
use crate::service::{Context, Ground};
use crate::trust::{Package, Policy, Root, Signer, judge, refusal};

/// After a failure that says nothing about a version, and between two looks for what nobody brings to its end.
const PAUSE: Duration = Duration::from_secs(60);
/// How long a version may take to come.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often a version is judged: one on which the program ends each time is refused in the end.
const ATTEMPTS: i64 = 3;
/// How long a connection that has a file for itself is waited for, when the file is to go.
const TURN: Duration = Duration::from_secs(5);

/// Keeps the catalogs for as long as the service runs.
pub async fn keep(context: Arc<Context>) {
    let Some(ground) = context.ground() else { return };
    let Some(intake) = &ground.intake else { return };
    if let Err(error) = sweep::run(&context, ground, intake).await {
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
    let now = ground.clock.now();
    if !now.is_plausible() {
        // Certificates would be judged, and patience reckoned, by a time that can't be.
        return Ok(());
    }
    let mut db = ground.database.begin().await?;
    let whole = Version::in_state(&mut db, State::Verifying).await?;
    let coming = Version::in_state(&mut db, State::Receiving).await?;
    drop(db);
    // What keeps one from its end says nothing about the others.
    let tell = |version: &Version, done: Result<()>| {
        if let Err(error) = done {
            log::error(format_args!("version {}: {}", version.id, error.chain()));
        }
    };
    for (version, tenant) in whole {
        tell(
            &version,
            decide(ground, intake, &version, tenant.as_deref()).await,
        );
    }
    for (version, tenant) in coming {
        if now.since(version.changed) > PATIENCE {
            tell(
                &version,
                expire(ground, intake, &version, tenant.as_deref(), now).await,
            );
        }
    }
    Ok(())
}

async fn expire(
    ground: &Ground,
    intake: &Intake,
    version: &Version,
    tenant: Option<&str>,
    now: Moment,
) -> Result<()> {
    let mut db = ground.database.begin().await?;
    version.delete(&mut db, version.revision).await?;
    record(&mut db, version, tenant, "version.expire", now).await?;
    db.commit().await?;
    remove(ground, intake, version, tenant).await;
    Ok(())
}

/// Judges a version, and makes it what it is to be.
async fn decide(ground: &Ground, intake: &Intake, version: &Version, tenant: Option<&str>) -> Result<()> {
    let owner = owner_of(tenant)?;
    let mut db = ground.database.begin().await?;
    let sort = version.sort(&mut db).await?;
    let policy = Policy::in_force(&mut db, tenant, ground.clock.now()).await?;
    let asked = Policy::of(&mut db, tenant).await?.0;
    let believes_nobody = asked.signer == Signer::Trusted
        && asked.pins.is_empty()
        && Root::of(&mut db, tenant).await?.is_empty();
    let attempt = version.attempt(&mut db).await?;
    db.commit().await?;

    let judged = match attempt <= ATTEMPTS {
        true => look_at(intake, owner, version, sort, policy, believes_nobody).await,
        false => Ok(Err(refusal(
            "catalog.not-judged",
            "the judgement failed each time",
        ))),
    };
    let files = match judged {
        Ok(judged) => judged,
        // It is not there, or not what it was: nobody brings it back.
        Err(error) if matches!(error.kind(), Kind::Unknown | Kind::StateCorrupt | Kind::Mismatch) => {
            Err(refusal("catalog.bytes-lost", &error.chain().to_string()))
        }
        Err(error) => return Err(error),
    };
    let is_accepted = files.is_ok();
    let tending = intake.tending.lock().await;
    let verdict = match files {
        Ok((files, verdict)) => {
            adopt(intake, owner, files).await?;
            verdict
        }
        Err(verdict) => verdict,
    };
    let now = ground.clock.now();
    let mut db = ground.database.begin().await?;
    let (passed, action) = match is_accepted {
        true => (version.publish(&mut db, &verdict, now).await, "version.publish"),
        false => (version.reject(&mut db, &verdict, now).await, "version.reject"),
    };
    match passed {
        Ok(()) => {
            record(&mut db, version, tenant, action, now).await?;
            db.commit().await?;
        }
        // Somebody took it away meanwhile.
        Err(error) if error.kind() == Kind::Changed => drop(db),
        Err(error) => return Err(error),
    }
    drop(tending);
    // Blobs that a table names stay.
    remove(ground, intake, version, tenant).await;
    Ok(())
}

/// Files that were accepted with the verdict, or the verdict that refuses them.
type Judged = std::result::Result<(Vec<Whole>, Value), Value>;

async fn look_at(
    intake: &Intake,
    owner: Owner,
    version: &Version,
    sort: Sort,
    policy: ovf::verify::Policy,
    believes_nobody: bool,
) -> Result<Judged> {
    let mut files = Vec::new();
    for file in &version.files {
        let fetched = fetch(intake, owner, file).await;
        intake.rest(file.id);
        files.push(fetched?);
    }
    let names: Vec<_> = version.files.iter().map(|file| file.name.clone()).collect();
    let judge = move || {
        let (is_accepted, verdict) = verdict(&files, &names, sort, &policy, believes_nobody)?;
        Ok(match is_accepted {
            true => Ok((files, verdict)),
            false => Err(verdict),
        })
    };
    spawn_blocking(judge).await.map_err(ended)?
}

async fn adopt(intake: &Intake, owner: Owner, files: Vec<Whole>) -> Result<()> {
    let blobs = Arc::clone(intake.blobs());
    let adopt = move || {
        for file in files {
            if let Whole::Sealed(sealed) = file {
                blobs.adopt(&owner, *sealed)?;
            }
        }
        Ok(())
    };
    spawn_blocking(adopt).await.map_err(ended)?
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
        let place = format!("the file '{}'", file.name);
        let noted = file
            .digest
            .as_deref()
            .and_then(|digest| digest.parse::<Digest>().ok());
        let noted = noted.ok_or_else(|| Error::new(Kind::StateCorrupt, &place, "has no digest"))?;
        coming.look(&blobs, &owner, &file)?;
        coming.seal(&blobs, &owner, &file)?;
        if let Coming::Sealed(sealed) = std::mem::take(&mut *coming) {
            return match sealed.digest() == noted {
                true => Ok(Whole::Sealed(sealed)),
                false => Err(Error::new(Kind::Mismatch, place, "is not what was received")),
            };
        }
        let (blob, bytes) = blobs.open_blob(&owner, &noted)?;
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

/// Takes away what no table names of what a version was; what can't be removed now is found at the next start.
pub async fn remove(ground: &Ground, intake: &Intake, version: &Version, tenant: Option<&str>) {
    for file in &version.files {
        if let Err(error) = remove_file(ground, intake, file, tenant).await {
            log::warn(error.chain());
        }
    }
}

async fn remove_file(ground: &Ground, intake: &Intake, file: &File, tenant: Option<&str>) -> Result<()> {
    let owner = owner_of(tenant)?;
    // A connection that still sends looks whether the file is wanted when it ends, and removes it itself.
    if let Ok(mut coming) = timeout(TURN, intake.turn(file.id).lock_owned()).await {
        *coming = Coming::Unseen;
        let (blobs, id) = (Arc::clone(intake.blobs()), file.id);
        let discard = move || blobs.discard(&owner, id);
        let mut db = ground.database.begin().await?;
        let is_expected = File::is_expected(&mut db, file.id).await?;
        drop(db);
        if !is_expected {
            spawn_blocking(discard).await.map_err(ended)??;
        }
    }
    intake.forget(file.id);
    let _tending = intake.tending.lock().await;
    let Some(digest) = file
        .digest
        .as_deref()
        .and_then(|digest| digest.parse::<Digest>().ok())
    else {
        return Ok(());
    };
    let mut db = ground.database.begin().await?;
    let is_kept = File::is_kept(&mut db, tenant, &digest).await?;
    drop(db);
    if !is_kept {
        let blobs = Arc::clone(intake.blobs());
        spawn_blocking(move || blobs.remove(&owner, &digest))
            .await
            .map_err(ended)??;
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

pub(super) fn ended(error: tokio::task::JoinError) -> Error {
    Error::new(Kind::Io, "the catalogs", "the service ends").because(error)
}
