//! The version that a transfer makes here: whose it is, whether it is new, and whether there is room for it.

use sqlx::{Row as _, Sqlite, Transaction};

use super::Arrival;
use super::fault::Fault;
use crate::audit::{self, Deed};
use crate::catalog::{
    Catalog, Item, Label, NewVersion, Quota, Remembered, Seen, Sort, Usage, Version, digest_of_files,
};
use crate::clock::Moment;
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::store::Space;
use crate::transfer::{Grant, Offer, Refusal};
use crate::trust::Package;

/// Who brings what comes from elsewhere.
const AUTHOR: &str = "transfer";
/// The most files of other versions that are looked through for what comes.
const CANDIDATES: i64 = 64;

/// The tenant of a name, by its id; the provider where there is none.
///
/// # Errors
/// The rule that it breaks.
pub(super) async fn tenant(db: &mut Transaction<'_, Sqlite>, grant: &Grant) -> Result<Option<String>, Fault> {
    let Some(name) = &grant.destination.place.tenant else {
        return Ok(None);
    };
    let row = sqlx::query("SELECT id FROM tenants WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(&mut **db)
        .await
        .map_err(Error::from)?;
    match row {
        Some(row) => Ok(Some(row.get("id"))),
        None => Err(Refusal::new("tenant.unknown", format!("this node has no tenant {name}")).into()),
    }
}

/// Sees that what is granted isn't a thing of the past, as far as that can be told before anything of it is here.
///
/// # Errors
/// The rule that it breaks.
pub(super) async fn is_new(
    db: &mut Transaction<'_, Sqlite>,
    grant: &Grant,
    tenant: Option<String>,
) -> Result<(), Fault> {
    let label = label_of(grant)?;
    let remembered = Remembered {
        tenant,
        catalog: grant.destination.place.catalog.to_string(),
        item: grant.destination.place.item.to_string(),
    };
    let seen = Seen {
        label,
        release: None,
        digest: grant.digest,
    };
    let floor = grant.floor.clone().and_then(|floor| Label::try_from(floor).ok());
    match remembered.refuses(db, &seen, floor.as_ref()).await? {
        Some(refusal) => Err(refusal.into()),
        None => Ok(()),
    }
}

fn label_of(grant: &Grant) -> Result<Label, Refusal> {
    Label::try_from(grant.label.clone()).map_err(|reason| Refusal::new("grant.malformed", reason))
}

/// Whether a version is the one of a grant: a server may grant the same transfer again for what the source has by then.
pub(super) fn is_of(version: &Version, grant: &Grant) -> bool {
    let files = version.files.iter().filter_map(|file| {
        let bytes = u64::try_from(file.bytes).ok()?;
        Some((file.expected?, bytes, file.name.as_str()))
    });
    version.version.as_str() == grant.label && digest_of_files(files) == grant.digest
}

/// Announces the version, with room for all of it.
///
/// # Errors
/// The rule that it breaks: there is such a version, no room, or the files can't make one.
pub(super) async fn announce(
    db: &mut Transaction<'_, Sqlite>,
    arrival: &mut Arrival,
    offer: &Offer,
    space: Space,
    now: Moment,
) -> Result<Version, Fault> {
    let grant = arrival.grant.clone();
    let label = label_of(&grant)?;
    if offer.label != grant.label || offer.kind != grant.kind {
        let reason = "the source offers it under another label, or as something else, than the grant says";
        return Err(Refusal::new("source.other-package", reason).into());
    }
    let files = offer
        .new_files()
        .map_err(|reason| Refusal::new("source.other-package", reason))?;
    if offer.kind == Sort::Package {
        let names = files.iter().map(|file| file.name.as_str());
        Package::main(names).map_err(|error| Refusal::new("package.format", error.reason()))?;
    }
    let bytes = i64::try_from(offer.bytes()).map_err(|_| Refusal::new("quota.exceeded", "it is too long"))?;
    let tenant = arrival.tenant.clone();
    for reserved in [
        Quota::reserve(db, tenant.as_deref(), bytes).await,
        Usage::reserve(db, tenant.as_deref()).await,
    ] {
        reserved.map_err(|error| match error.kind() {
            Kind::Ceiling => Fault::from(Refusal::new("quota.exceeded", error)),
            _ => error.into(),
        })?;
    }
    let wanted = u64::try_from(Usage::promised(db).await?.saturating_add(bytes)).unwrap_or(u64::MAX);
    if !space.takes(wanted) {
        return Err(Refusal::new("disk.full", "the disk has no room for it beside what is promised").into());
    }
    let place = &grant.destination.place;
    let catalog = match Catalog::named(db, tenant.as_deref(), place.catalog.as_str()).await? {
        Some(catalog) => catalog,
        None => Catalog::create(db, tenant.clone(), place.catalog.clone(), String::new(), now).await?,
    };
    let item = Item::named(db, &catalog, &place.item, offer.kind, now).await;
    let item = item.map_err(|error| match error.kind() {
        Kind::Taken => Fault::from(Refusal::new("item.kind", error)),
        _ => error.into(),
    })?;
    let new = NewVersion {
        label,
        files,
        author: AUTHOR.to_owned(),
    };
    let version = Version::create(db, &item, new, now)
        .await
        .map_err(|error| match error.kind() {
            Kind::Taken => {
                let reason =
                    "there is a version of this name, published or on its way: remove it, or wait for it";
                Fault::from(Refusal::new("version.taken", reason))
            }
            _ => error.into(),
        })?;
    arrival.announce(db, &version).await?;
    let deed = Deed {
        actor: AUTHOR,
        tenant: tenant.as_deref(),
        action: "version.announce",
        object: &version.id,
        outcome: "done",
    };
    audit::record(db, deed, now).await?;
    Ok(version)
}

/// Large files of the tenant's in which some of a new one may be: those of the same name in the item's versions first, the newest
/// before the others, then the item's other files, then the tenant's.
///
/// # Errors
/// The database fails.
pub(super) async fn candidates(
    db: &mut Transaction<'_, Sqlite>,
    version: &Version,
    tenant: Option<&str>,
    name: &str,
) -> Result<Vec<Digest>> {
    let statement = "SELECT files.digest, MAX(CASE WHEN versions.item = $1 AND files.name = $2 THEN 2 \
                     WHEN versions.item = $1 THEN 1 ELSE 0 END) AS nearness, MAX(versions.changed) AS changed FROM files \
                     JOIN versions ON versions.id = files.version JOIN items ON items.id = versions.item \
                     JOIN catalogs ON catalogs.id = items.catalog \
                     WHERE versions.state = 'PUBLISHED' AND files.digest IS NOT NULL AND files.bytes >= 1048576 \
                     AND COALESCE(catalogs.tenant, '') = $3 \
                     GROUP BY files.digest ORDER BY nearness DESC, changed DESC LIMIT $4";
    let rows = sqlx::query(statement)
        .bind(&version.item)
        .bind(name)
        .bind(tenant.unwrap_or_default())
        .bind(CANDIDATES)
        .fetch_all(&mut **db)
        .await?;
    let digest = |row: &sqlx::sqlite::SqliteRow| row.get::<String, _>("digest").parse().ok();
    Ok(rows.iter().filter_map(digest).collect())
}
