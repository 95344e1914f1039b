//! `/api/v1/items`: what the catalogs offer.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::response::{AppendHeaders, IntoResponse};
use axum::{Json, RequestPartsExt as _};
use hyper::StatusCode;
use serde::Deserialize;
use sqlx::{Sqlite, Transaction};
use utoipa::{IntoParams, ToSchema};

use super::catalogs::fine;
use super::request::{Body, Id, LoggedIn, Matches, Page, Standing, etag};
use crate::access::{Principal, Right};
use crate::audit::{self, Deed};
use crate::catalog::{Item, ItemChange, Labels, Search, Version};
use crate::clock::Moment;
use crate::error::Error;
use crate::http::percent::encoded;
use crate::http::problem::{Document, Problem};

/// The longest text that is looked for, in characters.
const LONGEST: usize = 256;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemPatch {
    /// What it is for.
    #[schema(max_length = 1024)]
    description: Option<String>,
    /// By what else it is found, in the place of all that was: 32 names with values of 256 characters at most.
    #[schema(value_type = Option<Object>)]
    labels: Option<Labels>,
}

/// What is looked for, and which part of what is found.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// In this catalog.
    catalog: Option<String>,
    /// With this text in the name or the description.
    #[param(max_length = 256)]
    q: Option<String>,
    /// With this label, `NAME=VALUE`.
    label: Option<String>,
    /// Entries at most, 1 to 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Where the last page ended, from its Link header field.
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let wanted = parts.extract::<Query<Self>>().await;
        let Query(wanted) = wanted.map_err(|error| Problem::INVALID.about(error.body_text()))?;
        Ok(wanted)
    }
}

impl Wanted {
    fn search(&self) -> Result<Search, Problem> {
        let label = self.label.as_deref().map(|label| {
            label
                .split_once('=')
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .ok_or(Problem::INVALID.about("label is NAME=VALUE"))
        });
        if self.q.as_ref().is_some_and(|text| text.chars().count() > LONGEST) {
            return Err(Problem::INVALID.about(format!("q has {LONGEST} characters at most")));
        }
        Ok(Search {
            catalog: self.catalog.clone(),
            text: self.q.clone().filter(|text| !text.is_empty()),
            label: label.transpose()?,
        })
    }

    /// The list's path, as the next page's has it.
    fn path(&self) -> String {
        let given = [("catalog", &self.catalog), ("q", &self.q), ("label", &self.label)];
        let given = given
            .iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        given.fold("/api/v1/items".to_owned(), |path, (name, value)| {
            let mark = if path.contains('?') { '&' } else { '?' };
            format!("{path}{mark}{name}={}", encoded(value))
        })
    }
}

/// Find items, in one catalog or in all
#[utoipa::path(get, path = "/api/v1/items", tag = "catalogs", params(Wanted), responses(
    (status = 200, body = [Item]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    wanted: Wanted,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadCatalogs)?;
    let (search, page) = (wanted.search()?, Page::of(wanted.limit, wanted.cursor.clone())?);
    let mut db = standing.ground()?.database.begin().await?;
    let items = Item::list(&mut db, &user, &search, page.cursor(), page.limit()).await?;
    let last = items.last().map(|item| item.id.as_str());
    let link = page.link(&wanted.path(), items.len(), last);
    Ok((AppendHeaders(link), Json(items)))
}

/// Read an item
#[utoipa::path(get, path = "/api/v1/items/{id}", tag = "catalogs", params(("id" = String, Path)), responses(
    (status = 200, body = Item),
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
    let item = found(&mut db, &user, &id).await?;
    Ok((AppendHeaders([etag(item.revision)]), Json(item)))
}

/// Describe or label an item anew
#[utoipa::path(patch, path = "/api/v1/items/{id}", tag = "catalogs", request_body = ItemPatch,
    params(("id" = String, Path), ("If-Match" = String, Header)), responses(
    (status = 200, body = Item),
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
    Body(patch): Body<ItemPatch>,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::WriteCatalogs)?;
    if let Some(fault) = patch.labels.as_ref().and_then(Item::fault) {
        return Err(Problem::INVALID.about(fault));
    }
    let change = ItemChange {
        description: patch.description.map(fine).transpose()?,
        labels: patch.labels,
    };
    let mut db = standing.begin(&user).await?;
    let item = found(&mut db, &user, &id).await?;
    let item = Item { revision, ..item }.change(&mut db, change).await?;
    record(
        &mut db,
        &user,
        "item.change",
        &item,
        standing.ground()?.clock.now(),
    )
    .await?;
    db.commit().await.map_err(Error::from)?;
    Ok((AppendHeaders([etag(item.revision)]), Json(item)))
}

/// Remove an item that has no versions
#[utoipa::path(delete, path = "/api/v1/items/{id}", tag = "catalogs",
    params(("id" = String, Path), ("If-Match" = String, Header)), responses(
    (status = 204),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "It has versions"),
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
    let item = found(&mut db, &user, &id).await?;
    let item = Item { revision, ..item };
    item.delete(&mut db).await?;
    record(
        &mut db,
        &user,
        "item.delete",
        &item,
        standing.ground()?.clock.now(),
    )
    .await?;
    db.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// List an item's versions, the newest first
#[utoipa::path(get, path = "/api/v1/items/{id}/versions", tag = "catalogs", params(("id" = String, Path), Page), responses(
    (status = 200, body = [Version]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn versions(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadCatalogs)?;
    let after = match page.cursor() {
        "" => None,
        cursor => Some(
            cursor
                .split_once('.')
                .and_then(|(created, id)| Some((created.parse().ok()?, id)))
                .ok_or(Problem::INVALID.about("cursor is none of this list's"))?,
        ),
    };
    let mut db = standing.ground()?.database.begin().await?;
    let item = found(&mut db, &user, &id).await?;
    let versions = Version::list(&mut db, &item, after, page.limit()).await?;
    let last = versions.last().map(Version::cursor);
    let path = format!("/api/v1/items/{id}/versions");
    let link = page.link(&path, versions.len(), last.as_deref());
    Ok((AppendHeaders(link), Json(versions)))
}

/// The item of an id that a user sees.
async fn found(db: &mut Transaction<'_, Sqlite>, user: &Principal, id: &str) -> Result<Item, Problem> {
    Item::find(db, user, id).await?.ok_or(Problem::NOT_FOUND)
}

async fn record(
    db: &mut Transaction<'_, Sqlite>,
    user: &Principal,
    action: &str,
    item: &Item,
    now: Moment,
) -> Result<(), Error> {
    let deed = Deed {
        actor: &user.name,
        tenant: item.tenant.as_deref(),
        action,
        object: &item.name,
        outcome: "done",
    };
    audit::record(db, deed, now).await
}
