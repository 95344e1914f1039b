//! On a node: what a source tells its server, and does for it. The bytes themselves are asked for by destinations: `api::peer`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Row as _, Sqlite, Transaction};
use uuid::Uuid;

use crate::access::Name;
use crate::audit::{self, Deed};
use crate::authority::NodeCertificate;
use crate::catalog::{self, Label, Sort, State, Version};
use crate::digest::Digest;
use crate::error::{Error, Kind, Result};
use crate::service::{Context, Ground};
use crate::transfer::{Grant, Outcome, Part, Place, Purpose, Receipt, Signed, admit};

/// Items that are told at once.
const PAGE: i64 = 100;

/// What a server wants to know of a version.
#[derive(Deserialize)]
struct Wanted {
    place: Place,
    version: Option<Label>,
}

/// A version that can be had, as a server is told of it.
#[derive(Serialize)]
struct Found {
    version: Uuid,
    label: Label,
    kind: Sort,
    digest: Digest,
    bytes: i64,
    files: usize,
}

/// Tells which version would be sent: the one of a label, or the item's current one.
pub(crate) async fn offer(context: &Arc<Context>, details: Option<&Value>) -> Result<Value> {
    let Wanted { place, version } = read(details)?;
    let ground = ground(context)?;
    let mut db = ground.database.begin().await?;
    let missing = |what: &str| Error::new(Kind::Unknown, place.to_string(), what.to_owned());
    let tenant = tenant(&mut db, place.tenant.as_ref()).await?;
    let statement = "SELECT versions.id, items.kind FROM versions JOIN items ON items.id = versions.item \
                     JOIN catalogs ON catalogs.id = items.catalog \
                     WHERE COALESCE(catalogs.tenant, '') = $1 AND catalogs.name = $2 AND items.name = $3 \
                     AND versions.state = 'PUBLISHED' \
                     AND (versions.label = $4 OR ($4 IS NULL AND versions.id = items.current))";
    let row = sqlx::query(statement)
        .bind(tenant.unwrap_or_default())
        .bind(place.catalog.as_str())
        .bind(place.item.as_str())
        .bind(version.as_ref().map(Label::as_str))
        .fetch_optional(&mut *db)
        .await?;
    let row = row.ok_or_else(|| match &version {
        Some(version) => missing(&format!("has no published version {version} here")),
        None => missing("has no published version here"),
    })?;
    let (id, kind): (String, String) = (row.get("id"), row.get("kind"));
    let (found, _) = Version::of_id(&mut db, &id)
        .await?
        .ok_or_else(|| missing("is gone"))?;
    let digest = found.digest.as_deref().and_then(|digest| digest.parse().ok());
    let told = Found {
        version: id
            .parse()
            .map_err(|error| missing("has an id that is none").because(error))?,
        label: found.version,
        kind: Sort::of(&kind),
        digest: digest.ok_or_else(|| missing("has no digest"))?,
        bytes: found.bytes,
        files: found.files.len(),
    };
    tell(&told)
}

/// What a server wants to know of a catalog.
#[derive(Deserialize)]
struct Looking {
    tenant: Option<Name>,
    catalog: Name,
    after: Option<String>,
}

#[derive(Serialize)]
struct Items {
    items: Vec<Current>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Current {
    item: String,
    kind: Sort,
    version: String,
    digest: String,
}

/// Tells what a catalog offers: the current version of each item, by the items' names.
pub(crate) async fn browse(context: &Arc<Context>, details: Option<&Value>) -> Result<Value> {
    let looking: Looking = read(details)?;
    let ground = ground(context)?;
    let mut db = ground.database.begin().await?;
    let tenant = tenant(&mut db, looking.tenant.as_ref()).await?;
    let is_there = catalog::Catalog::named(&mut db, tenant.as_deref(), looking.catalog.as_str()).await?;
    if is_there.is_none() {
        let place = format!("catalog {}", looking.catalog);
        return Err(Error::new(Kind::Unknown, place, "is not here"));
    }
    let statement = "SELECT items.name, items.kind, versions.label, versions.digest FROM items \
                     JOIN catalogs ON catalogs.id = items.catalog JOIN versions ON versions.id = items.current \
                     WHERE COALESCE(catalogs.tenant, '') = $1 AND catalogs.name = $2 AND items.name > $3 \
                     AND versions.digest IS NOT NULL ORDER BY items.name LIMIT $4";
    let rows = sqlx::query(statement)
        .bind(tenant.unwrap_or_default())
        .bind(looking.catalog.as_str())
        .bind(looking.after.unwrap_or_default())
        .bind(PAGE)
        .fetch_all(&mut *db)
        .await?;
    let items: Vec<_> = rows
        .iter()
        .map(|row| Current {
            item: row.get("name"),
            kind: Sort::of(row.get("kind")),
            version: row.get("label"),
            digest: row.get("digest"),
        })
        .collect();
    let is_full = i64::try_from(items.len()) == Ok(PAGE);
    let next = items.last().filter(|_| is_full).map(|last| last.item.clone());
    tell(&Items { items, next })
}

/// By what a version is to go from here.
#[derive(Deserialize)]
struct Releasing {
    grant: Signed,
    receipt: Signed,
}

/// Removes a version that was moved, for its destination has signed that it has it.
pub(crate) async fn release(context: &Arc<Context>, details: Option<&Value>) -> Result<Value> {
    let Releasing {
        grant: signed,
        receipt,
    } = read(details)?;
    let refused = |reason: &str| Error::new(Kind::Refused, "the receipt", reason);
    let ground = ground(context)?;
    let own = ground.peering.expect()?;
    let now = ground.clock.now();
    let said: Grant = signed.read(Purpose::Grant)?;
    // A receipt may come long after the grant's end.
    let grant = admit(
        &signed,
        own.authorities(),
        own.node(),
        said.destination.node,
        Part::Source,
        now.min(said.issued),
    );
    let grant = grant.map_err(|refusal| refused(&refusal.to_string()))?;
    if !grant.moves {
        return Err(refused("is for a copy: nothing goes from here"));
    }
    let certificate = receipt.certificate(Purpose::Receipt)?;
    let signer = own.vouched(&certificate);
    if signer.map(|signer: NodeCertificate| signer.node) != Some(grant.destination.node) {
        return Err(refused("is not signed by the destination"));
    }
    let receipt: Receipt = receipt.read(Purpose::Receipt)?;
    let is_it = receipt.transfer == grant.transfer
        && receipt.grant == signed.digest(Purpose::Grant)?
        && receipt.node == grant.destination.node
        && receipt.outcome == Outcome::Published
        && receipt.digest == grant.digest;
    if !is_it {
        return Err(refused("is for something else, or for what was refused"));
    }
    let intake = ground.intake.as_ref();
    let intake = intake.ok_or_else(|| Error::new(Kind::StateMissing, "the catalogs", "can't be used"))?;
    let mut db = ground.database.begin().await?;
    let found = Version::of_id(&mut db, &grant.version.to_string()).await?;
    let Some((version, tenant)) = found.filter(|(version, _)| version.state == State::Published) else {
        // It was released before, and nobody heard of it.
        return tell(&serde_json::json!({ "released": true }));
    };
    if !is_granted(&mut db, &version, tenant.as_deref(), &grant).await? {
        return Err(refused("is of another version than the one that is here"));
    }
    version.delete(&mut db, version.revision).await?;
    let deed = Deed {
        actor: "transfer",
        tenant: tenant.as_deref(),
        action: "transfer.release",
        object: &grant.transfer.to_string(),
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    db.commit().await?;
    catalog::remove(ground, intake, &version, tenant.as_deref()).await;
    tell(&serde_json::json!({ "released": true }))
}

/// Whether a version is the one that a grant is for: published, with these files, and of the tenant that the grant names.
pub(crate) async fn is_granted(
    db: &mut Transaction<'_, Sqlite>,
    version: &Version,
    owner: Option<&str>,
    grant: &Grant,
) -> Result<bool> {
    let named = match tenant(db, grant.source.place.tenant.as_ref()).await {
        Ok(named) => named,
        Err(error) if error.kind() == Kind::Unknown => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(version.state == State::Published
        && named.as_deref() == owner
        && version.digest.as_deref() == Some(&*grant.digest.to_string()))
}

fn ground(context: &Context) -> Result<&Ground> {
    let missing = || Error::new(Kind::StateMissing, "the catalogs", "there is no state");
    context.ground().ok_or_else(missing)
}

fn read<T: serde::de::DeserializeOwned>(details: Option<&Value>) -> Result<T> {
    let wrong = || Error::new(Kind::Malformed, "the order", "is not as it should be");
    let details = details.ok_or_else(wrong)?;
    serde_json::from_value(details.clone()).map_err(|error| wrong().because(error))
}

fn tell(told: &impl Serialize) -> Result<Value> {
    serde_json::to_value(told)
        .map_err(|error| Error::new(Kind::Malformed, "what is told", "can't be written").because(error))
}

/// The id of a tenant; none for the provider.
async fn tenant(db: &mut Transaction<'_, Sqlite>, name: Option<&Name>) -> Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    let row = sqlx::query("SELECT id FROM tenants WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(&mut **db)
        .await?;
    match row {
        Some(row) => Ok(Some(row.get("id"))),
        None => Err(Error::new(
            Kind::Unknown,
            format!("tenant {name}"),
            "is not on this node",
        )),
    }
}
