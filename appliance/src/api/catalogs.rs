//! `/api/v1/catalogs`.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse, Response};
use hyper::StatusCode;
use serde::Deserialize;
use sqlx::{Sqlite, Transaction};
use utoipa::ToSchema;

use super::once::Wish;
use super::request::{Body, Id, LoggedIn, Matches, Page, Standing, etag};
use super::whose::Whose;
use crate::access::{Name, Principal, Right};
use crate::audit::{self, Deed};
use crate::catalog::{Catalog, DESCRIPTION};
use crate::clock::Moment;
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCatalog {
    name: Name,
    /// What it is for, 1024 characters at most.
    #[serde(default)]
    #[schema(max_length = 1024)]
    description: String,
    /// Whose it is to be: the provider says so, a tenant's user need not. None for the provider's own.
    tenant: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CatalogPatch {
    #[schema(max_length = 1024)]
    description: String,
}

/// List catalogs
#[utoipa::path(get, path = "/api/v1/catalogs", tag = "catalogs", params(Page), responses(
    (status = 200, body = [Catalog]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadCatalogs)?;
    let mut db = standing.ground()?.database.begin().await?;
    let catalogs = Catalog::list(&mut db, &user, page.cursor(), page.limit()).await?;
    let last = catalogs.last().map(|catalog| catalog.id.as_str());
    let link = page.link("/api/v1/catalogs", catalogs.len(), last);
    Ok((AppendHeaders(link), Json(catalogs)))
}

/// Make a catalog
#[utoipa::path(post, path = "/api/v1/catalogs", tag = "catalogs", request_body = NewCatalog,
    params(("Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[!-~]+$")), responses(
    (status = 201, body = Catalog),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 409, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn create(standing: Standing, wish: Wish<NewCatalog>) -> Result<Response, Problem> {
    let (user, new, once) = (wish.user.may(Right::WriteCatalogs)?, wish.body, wish.once);
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let tenant = Whose::meant(&user, new.tenant)?;
    let description = fine(new.description)?;
    let mut db = standing.begin(&user).await?;
    if let Some(answer) = once.answered(&mut db, &user, now).await? {
        return Ok(answer);
    }
    let catalog = Catalog::create(&mut db, tenant, new.name, description, now)
        .await
        .map_err(no_room)?;
    record(&mut db, &user, "catalog.create", &catalog, now).await?;
    once.keep(&mut db, &user, now, StatusCode::CREATED, &catalog)
        .await?;
    db.commit().await.map_err(Error::from)?;
    let tag = AppendHeaders([etag(catalog.revision)]);
    Ok((StatusCode::CREATED, tag, Json(catalog)).into_response())
}

/// Read a catalog
#[utoipa::path(get, path = "/api/v1/catalogs/{id}", tag = "catalogs", params(("id" = String, Path)), responses(
    (status = 200, body = Catalog),
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
    let catalog = found(&mut db, &user, &id).await?;
    Ok((AppendHeaders([etag(catalog.revision)]), Json(catalog)))
}

/// Describe a catalog anew
#[utoipa::path(patch, path = "/api/v1/catalogs/{id}", tag = "catalogs", request_body = CatalogPatch,
    params(("id" = String, Path), ("If-Match" = String, Header)), responses(
    (status = 200, body = Catalog),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 412, body = Document),
    (status = 422, body = Document),
    (status = 428, body = Document),
))]
pub(super) async fn change(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    Matches(revision): Matches,
    Body(patch): Body<CatalogPatch>,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::WriteCatalogs)?;
    let description = fine(patch.description)?;
    let mut db = standing.begin(&user).await?;
    let catalog = found(&mut db, &user, &id).await?;
    let catalog = Catalog { revision, ..catalog }
        .describe(&mut db, description)
        .await?;
    record(
        &mut db,
        &user,
        "catalog.change",
        &catalog,
        standing.ground()?.clock.now(),
    )
    .await?;
    db.commit().await.map_err(Error::from)?;
    Ok((AppendHeaders([etag(catalog.revision)]), Json(catalog)))
}

/// Remove a catalog that offers nothing
#[utoipa::path(delete, path = "/api/v1/catalogs/{id}", tag = "catalogs",
    params(("id" = String, Path), ("If-Match" = String, Header)), responses(
    (status = 204),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "It has items"),
    (status = 412, body = Document),
    (status = 428, body = Document),
))]
pub(super) async fn delete(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    Matches(revision): Matches,
) -> Result<StatusCode, Problem> {
    let user = user.may(Right::WriteCatalogs)?;
    let mut db = standing.begin(&user).await?;
    let catalog = found(&mut db, &user, &id).await?;
    let catalog = Catalog { revision, ..catalog };
    catalog.delete(&mut db).await?;
    record(
        &mut db,
        &user,
        "catalog.delete",
        &catalog,
        standing.ground()?.clock.now(),
    )
    .await?;
    db.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The catalog of an id that a user sees.
pub(super) async fn found(
    db: &mut Transaction<'_, Sqlite>,
    user: &Principal,
    id: &str,
) -> Result<Catalog, Problem> {
    Catalog::find(db, user, id).await?.ok_or(Problem::NOT_FOUND)
}

/// What there may be no more of is told as such.
pub(super) fn no_room(error: Error) -> Problem {
    match error.kind() {
        Kind::Ceiling => Problem::NO_ROOM.about(error.to_string()),
        _ => error.into(),
    }
}

/// A description of a length that is bearable.
pub(super) fn fine(description: String) -> Result<String, Problem> {
    let is_fine = |letter: char| !letter.is_control() || letter == '\n';
    match description.chars().count() <= DESCRIPTION && description.chars().all(is_fine) {
        true => Ok(description),
        false => Err(Problem::INVALID.about(format!(
            "a description has {DESCRIPTION} characters at most, and none that controls"
        ))),
    }
}

async fn record(
    db: &mut Transaction<'_, Sqlite>,
    user: &Principal,
    action: &str,
    catalog: &Catalog,
    now: Moment,
) -> Result<(), Error> {
    let deed = Deed {
        actor: &user.name,
        tenant: catalog.tenant.as_deref(),
        action,
        object: &catalog.name,
        outcome: "done",
    };
    audit::record(db, deed, now).await
}
