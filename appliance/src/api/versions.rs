//! `/api/v1/versions`: what comes to an item, and what can be had of it.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::{RequestPartsExt as _, extract::Path};
use hyper::StatusCode;
use serde::Deserialize;
use sqlx::{Sqlite, Transaction};
use utoipa::ToSchema;

use super::catalogs::{self, no_room};
use super::once::Wish;
use super::request::{Id, LoggedIn, Matches, Standing, etag};
use crate::access::{Name, Principal, Right};
use crate::audit::{self, Deed};
use crate::catalog::{self, File, Intake, Item, Label, NewFile, NewVersion, Quota, Sort, Usage, Version};
use crate::clock::Moment;
use crate::error::Error;
use crate::http::problem::{Document, Problem};
use crate::service::Ground;
use crate::trust::Package;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewItemVersion)]
pub(super) struct New {
    /// The item's name: one that isn't there is made.
    item: Name,
    /// What it is.
    kind: Sort,
    /// What the version is called: 1 to 64 letters, digits and `.-_+~`.
    #[schema(value_type = String, max_length = 64)]
    version: Label,
    /// Its files, in their order; a package is one `.ova`, or one `.ovf` with its files.
    #[schema(min_items = 1, max_items = 256)]
    files: Vec<NewFile>,
}

/// Announce a version; its files come next
///
/// Room for all of it is reserved. Each file is then sent by PUT to `/api/v1/versions/ID/files/NAME`.
#[utoipa::path(post, path = "/api/v1/catalogs/{id}/versions", tag = "catalogs", request_body = New,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[!-~]+$")), responses(
    (status = 201, body = Version),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "The version is there, or the item is of another kind"),
    (status = 422, body = Document),
    (status = 507, body = Document, description = "There is no room for it"),
))]
pub(super) async fn create(standing: Standing, Id(id): Id, wish: Wish<New>) -> Result<Response, Problem> {
    let (user, new, once) = (wish.user.may(Right::WriteCatalogs)?, wish.body, wish.once);
    let ground = standing.ground()?;
    intake(ground)?;
    if let Some(fault) = NewFile::fault(&new.files) {
        return Err(Problem::INVALID.about(fault));
    }
    if new.kind == Sort::Package {
        let names = new.files.iter().map(|file| file.name.as_str());
        Package::main(names).map_err(|error| Problem::INVALID.about(error.to_string()))?;
    }
    let now = ground.clock.now();
    let mut db = standing.begin(&user).await?;
    if let Some(answer) = once.answered(&mut db, &user, now).await? {
        return Ok(answer);
    }
    let catalog = catalogs::found(&mut db, &user, &id).await?;
    let bytes = new.files.iter().map(|file| file.bytes).sum();
    Quota::reserve(&mut db, catalog.tenant.as_deref(), bytes)
        .await
        .map_err(no_room)?;
    Usage::reserve(&mut db, catalog.tenant.as_deref())
        .await
        .map_err(no_room)?;
    room_on_disk(&standing, &user, &mut db, bytes).await?;
    let item = Item::named(&mut db, &catalog, &new.item, new.kind, now)
        .await
        .map_err(no_room)?;
    let new = NewVersion {
        label: new.version,
        files: new.files,
        author: user.name.clone(),
    };
    let version = Version::create(&mut db, &item, new, now).await?;
    record(
        &mut db,
        &user,
        "version.announce",
        (&version, catalog.tenant.as_deref()),
        now,
    )
    .await?;
    once.keep(&mut db, &user, now, StatusCode::CREATED, &version)
        .await?;
    db.commit().await.map_err(Error::from)?;
    let tag = AppendHeaders([etag(version.revision)]);
    Ok((StatusCode::CREATED, tag, Json(version)).into_response())
}

/// Read a version: how far it is, its files, and what was found about it
#[utoipa::path(get, path = "/api/v1/versions/{id}", tag = "catalogs", params(("id" = String, Path)), responses(
    (status = 200, body = Version),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadCatalogs)?;
    let mut db = standing.ground()?.database.begin().await?;
    let (version, _) = found(&mut db, &user, &id).await?;
    Ok((AppendHeaders([etag(version.revision)]), Json(version)))
}

/// Remove a version, whole or still to come; the item then offers the newest that is left
#[utoipa::path(delete, path = "/api/v1/versions/{id}", tag = "catalogs",
    params(("id" = String, Path), ("If-Match" = String, Header)), responses(
    (status = 204),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 412, body = Document, description = "It has changed since it was read"),
    (status = 428, body = Document),
))]
pub(super) async fn delete(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    Matches(revision): Matches,
) -> Result<StatusCode, Problem> {
    let user = user.may(Right::WriteCatalogs)?;
    let ground = standing.ground()?;
    let intake = intake(ground)?;
    let mut db = standing.begin(&user).await?;
    let (version, tenant) = found(&mut db, &user, &id).await?;
    version.delete(&mut db, revision).await?;
    let of = (&version, tenant.as_deref());
    record(&mut db, &user, "version.delete", of, ground.clock.now()).await?;
    db.commit().await.map_err(Error::from)?;
    catalog::remove(ground, intake, &version, tenant.as_deref()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// A file of a version, as a path names it.
pub(super) struct FilePath {
    version: String,
    name: String,
}

impl<S: Send + Sync> FromRequestParts<S> for FilePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let path = parts.extract::<Path<(String, String)>>().await;
        path.map(|Path((version, name))| Self { version, name })
            .map_err(|_| Problem::NOT_FOUND)
    }
}

impl FilePath {
    /// The file, its version and whose it is, if a user sees them.
    pub(super) async fn found(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        user: &Principal,
    ) -> Result<(File, Version, Option<String>), Problem> {
        let (version, tenant) = found(db, user, &self.version).await?;
        let file = version.files.iter().find(|file| file.name == self.name).cloned();
        Ok((file.ok_or(Problem::NOT_FOUND)?, version, tenant))
    }
}

/// The large files of a node.
pub(super) fn intake(ground: &Ground) -> Result<&Intake, Problem> {
    ground.intake.as_ref().ok_or(Problem::STATE_UNAVAILABLE)
}

/// The version of an id that a user sees, and whose it is.
async fn found(
    db: &mut Transaction<'_, Sqlite>,
    user: &Principal,
    id: &str,
) -> Result<(Version, Option<String>), Problem> {
    Version::find(db, user, id).await?.ok_or(Problem::NOT_FOUND)
}

/// Sees that the disk takes so many bytes more, beside those that were promised. What others do is told to the provider alone.
async fn room_on_disk(
    standing: &Standing,
    user: &Principal,
    db: &mut Transaction<'_, Sqlite>,
    bytes: i64,
) -> Result<(), Problem> {
    let promised = Usage::promised(db).await?;
    let space = standing.0.view().space.ok_or(Problem::STATE_UNAVAILABLE)?;
    let wanted = u64::try_from(promised.saturating_add(bytes)).unwrap_or(u64::MAX);
    match (space.takes(wanted), user.sees(None)) {
        (true, _) => Ok(()),
        (false, true) => Err(Problem::NO_ROOM.about(format!(
            "{bytes} bytes are wanted, {promised} are promised to others, and the disk has {}.",
            space.available
        ))),
        (false, false) => Err(Problem::NO_ROOM.about("The disk has no room for it.")),
    }
}

async fn record(
    db: &mut Transaction<'_, Sqlite>,
    user: &Principal,
    action: &str,
    (version, tenant): (&Version, Option<&str>),
    now: Moment,
) -> Result<(), Error> {
    let deed = Deed {
        actor: &user.name,
        tenant,
        action,
        object: &version.id,
        outcome: "done",
    };
    audit::record(db, deed, now).await
}
