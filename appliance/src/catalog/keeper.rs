//! What becomes of versions whose files are all there: they are judged one after the other, and published or refused.

use std::sync::Arc;
use std::time::Duration;

use ovf::package::MemberName;
use serde_json::{Value, json};
use sqlx::{Sqlite, Transaction};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Coming, File, Intake, Label, Remembered, Sort, State, Version, indexer, owner_of, sweep};
use crate::audit::{self, Deed};
use crate::blob::{Owner, Sealed};
use crate::clock::Moment;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::log;
use crate::receiving::Arrival;
use crate::service::{Context, Ground};
use crate::transfer::{Phase, Refusal};
use crate::trust::{InForce, Package, Part, Policy, judge, refusal};

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
    tokio::join!(decide_all(ground, intake), indexer::run(ground, intake));
}

async fn decide_all(ground: &Ground, intake: &Intake) {
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
    let judged_by = policy.digest;
    let arrival = Arrival::of_version(&mut db, &version.id).await?;
    let remembered = Remembered::of_version(&mut db, &version.id).await?;
    let attempt = version.attempt(&mut db).await?;
    db.commit().await?;

    let judged = match attempt <= ATTEMPTS {
        true => look_at(intake, owner, version, sort, policy).await,
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
    let now = ground.clock.now();
    let mut files = files;
    if let (Ok((_, verdict, release)), Some(arrival)) = (&files, &arrival) {
        // What comes from elsewhere may be a thing of the past; what people bring here is their own affair.
        let mut db = ground.database.begin().await?;
        let seen = version.seen(release.clone());
        let refused = remembered.refuses(&mut db, &seen, arrival.floor.as_ref()).await?;
        if let Some(refused) = refused {
            files = Err(with_failure(verdict.clone(), &refused));
        }
    }
    if let (Ok(_), Some(arrival)) = (&files, &arrival) {
        arrival.proceed(ground, Phase::Verified).await?;
    }
    let tending = intake.tending.lock().await;
    let (verdict, seen) = match files {
        Ok((files, verdict, release)) => {
            adopt(intake, owner, files).await?;
            (verdict, Some(version.seen(release)))
        }
        Err(verdict) => (verdict, None),
    };
    if let (Some(_), Some(arrival)) = (&seen, &arrival) {
        arrival.proceed(ground, Phase::Imported).await?;
    }
    let mut db = ground.database.begin().await?;
    let (passed, action) = match seen.is_some() {
        true => (version.publish(&mut db, &verdict, now).await, "version.publish"),
        false => (version.reject(&mut db, &verdict, now).await, "version.reject"),
    };
    match passed {
        Ok(()) => {
            record(&mut db, version, tenant, action, now).await?;
            if let Some(seen) = &seen {
                remembered.note(&mut db, seen, now).await?;
            }
            if let Some(arrival) = &arrival {
                arrival.decided(&mut db, &verdict, judged_by, now).await?;
            }
            db.commit().await?;
            intake.is_published();
        }
        // Somebody took it away meanwhile.
        Err(error) if error.kind() == Kind::Changed => drop(db),
        Err(error) => return Err(error),
    }
    drop(tending);
    // Blobs that a table names stay.
    remove(ground, intake, version, tenant).await;
    if arrival.is_some() {
        intake.has_decided();
    }
    Ok(())
}

/// Files that were accepted with the verdict and the product's own version, or the verdict that refuses them.
type Judged = std::result::Result<(Vec<Whole>, Value, Option<Label>), Value>;

async fn look_at(
    intake: &Intake,
    owner: Owner,
    version: &Version,
    sort: Sort,
    policy: InForce,
) -> Result<Judged> {
    let mut files = Vec::new();
    for file in &version.files {
        let fetched = fetch(intake, owner, file).await;
        intake.rest(file.id);
        files.push(fetched?);
    }
    let names: Vec<_> = version.files.iter().map(|file| file.name.clone()).collect();
    let judge = move || {
        let (is_accepted, verdict, release) = verdict(&files, &names, sort, &policy)?;
        Ok(match is_accepted {
            true => Ok((files, verdict, release)),
            false => Err(verdict),
        })
    };
    spawn_blocking(judge).await.map_err(ended)?
}

async fn adopt(intake: &Intake, owner: Owner, files: Vec<Whole>) -> Result<()> {
    let blobs = Arc::clone(intake.blobs());
    let adopt = move || {
        for file in files {
            if let Held::Sealed(sealed) = file.place {
                blobs.adopt(&owner, *sealed)?;
            }
        }
        Ok(())
    };
    spawn_blocking(adopt).await.map_err(ended)?
}

/// A file that is there, whole.
struct Whole {
    bytes: u64,
    digest: Digest,
    place: Held,
}

enum Held {
    /// In quarantine.
    Sealed(Box<Sealed>),
    /// Adopted before a crash.
    Blob(std::fs::File),
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
                true => Ok(Whole {
                    bytes: sealed.size(),
                    digest: noted,
                    place: Held::Sealed(sealed),
                }),
                false => Err(Error::new(Kind::Mismatch, place, "is not what was received")),
            };
        }
        let (blob, bytes) = blobs.open_blob(&owner, &noted)?;
        Ok(Whole {
            bytes,
            digest: noted,
            place: Held::Blob(blob),
        })
    };
    spawn_blocking(fetch).await.map_err(ended)?
}

fn verdict(
    files: &[Whole],
    names: &[String],
    sort: Sort,
    policy: &InForce,
) -> Result<(bool, Value, Option<Label>)> {
    if sort == Sort::File {
        return Ok((true, json!({ "accepted": true, "checks": [] }), None));
    }
    let mut parts = Vec::new();
    for (file, name) in files.iter().zip(names) {
        let name = MemberName::parse(name)
            .map_err(|error| Error::new(Kind::StateCorrupt, "the database", error.to_string()))?;
        let failed = |error| Error::new(Kind::Io, name.to_string(), "cannot be read").because(error);
        let open = match &file.place {
            Held::Sealed(sealed) => sealed.file()?,
            Held::Blob(blob) => blob.try_clone().map_err(failed)?,
        };
        parts.push(Part {
            name,
            bytes: file.bytes,
            digest: file.digest,
            file: Some(open),
        });
    }
    let package = Package::new(parts);
    let (is_accepted, mut verdict) = judge(&package, policy)?;
    let release = if is_accepted { package.release()? } else { None };
    if let Some(release) = &release {
        verdict["release"] = json!(release);
    }
    Ok((is_accepted, verdict, release))
}

/// A verdict that refuses for one more reason.
fn with_failure(mut verdict: Value, refused: &Refusal) -> Value {
    verdict["accepted"] = json!(false);
    let failure = json!({ "code": refused.rule, "outcome": "failed", "reason": refused.reason });
    if let Some(checks) = verdict["checks"].as_array_mut() {
        checks.insert(0, failure);
    }
    verdict
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
