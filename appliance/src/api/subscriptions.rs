//! `/api/v1/subscriptions`: on a server, catalogs that follow others.

use axum::Json;
use axum::RequestPartsExt as _;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::response::{AppendHeaders, IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{LOCATION, RETRY_AFTER};
use serde::Deserialize;
use sqlx::{Sqlite, Transaction};
use utoipa::{IntoParams, ToSchema};

use super::once::Wish;
use super::request::{Id, LoggedIn, Page, Standing, etag};
use super::transfers::{own_name, told, whose};
use crate::access::{Principal, Right};
use crate::error::{Error, Kind as Fault};
use crate::http::problem::{Document, Problem};
use crate::task::Task;
use crate::transfer::{Dispatch, NewSubscription, Subscription};

/// What becomes of what came by a subscription.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Content {
    /// It stays.
    #[default]
    Keep,
    /// It is removed at the destination.
    Remove,
}

/// How a subscription ends.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct End {
    /// What becomes of what came by it; it stays, if left out.
    #[serde(default)]
    content: Content,
}

impl<S: Send + Sync> FromRequestParts<S> for End {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let end = parts.extract::<Query<Self>>().await;
        let Query(end) = end.map_err(|error| Problem::INVALID.about(error.body_text()))?;
        Ok(end)
    }
}

/// Have a catalog follow another node's
#[utoipa::path(post, path = "/api/v1/subscriptions", tag = "transfers", request_body = NewSubscription,
    params(("Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[!-~]+$")), responses(
    (status = 201, body = Subscription),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 409, body = Document, description = "Another does the same"),
    (status = 422, body = Document),
    (status = 429, body = Document, description = "There are too many"),
    (status = 503, body = Document, description = "The server's clock cannot be right"),
))]
pub(super) async fn create(standing: Standing, wish: Wish<NewSubscription>) -> Result<Response, Problem> {
    let (user, new, once) = (wish.user.may(Right::WriteTransfers)?, wish.body, wish.once);
    let (ground, keys) = (standing.ground()?, standing.keys()?);
    let now = standing.plausible_time()?;
    let mut db = standing.begin(&user).await?;
    if let Some(answer) = once.answered(&mut db, &user, now).await? {
        return Ok(answer);
    }
    let own = own_name(&mut db, &user).await?;
    let wish = new.check(&mut db, own.as_ref()).await.map_err(told)?;
    let named = wish.source.tenant.as_ref();
    let tenant = whose(&mut db, &user, [named, named]).await?;
    let mut dispatch = Dispatch::new(&keys, ground.news());
    let made = dispatch
        .subscribe(&mut db, wish, tenant.as_deref(), &user.name)
        .await
        .map_err(|error| match error.kind() {
            Fault::Taken => Problem::CONFLICT.about("Another subscription does the same."),
            _ => told(error),
        })?;
    once.keep(&mut db, &user, now, StatusCode::CREATED, &made).await?;
    db.commit().await.map_err(Error::from)?;
    dispatch.tell(ground);
    let place = [
        (LOCATION, format!("/api/v1/subscriptions/{}", made.id)),
        etag(made.revision),
    ];
    Ok((StatusCode::CREATED, AppendHeaders(place), Json(made)).into_response())
}

/// List subscriptions
#[utoipa::path(get, path = "/api/v1/subscriptions", tag = "transfers", params(Page), responses(
    (status = 200, body = [Subscription]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadTransfers)?;
    let mut db = standing.ground()?.database.begin().await?;
    let all = Subscription::list(&mut db, &user, page.cursor(), page.limit()).await?;
    let last = all.last().map(|last| last.id.as_str());
    let link = page.link("/api/v1/subscriptions", all.len(), last);
    Ok((AppendHeaders(link), Json(all)))
}

/// Read a subscription
#[utoipa::path(get, path = "/api/v1/subscriptions/{id}", tag = "transfers", params(("id" = String, Path)), responses(
    (status = 200, body = Subscription),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadTransfers)?;
    let mut db = standing.ground()?.database.begin().await?;
    let found = found(&mut db, &user, &id).await?;
    Ok((AppendHeaders([etag(found.revision)]), Json(found)))
}

/// Look at the source now, and try again what failed or was refused
#[utoipa::path(post, path = "/api/v1/subscriptions/{id}/sync", tag = "transfers", params(("id" = String, Path)), responses(
    (status = 202, body = Subscription),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn sync(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
) -> Result<(StatusCode, Json<Subscription>), Problem> {
    let user = user.may(Right::WriteTransfers)?;
    let (ground, keys) = (standing.ground()?, standing.keys()?);
    let mut db = standing.begin(&user).await?;
    let found = found(&mut db, &user, &id).await?;
    let mut dispatch = Dispatch::new(&keys, ground.news());
    let asked = dispatch.sync(&mut db, found, &user.name).await?;
    db.commit().await.map_err(Error::from)?;
    dispatch.tell(ground);
    Ok((StatusCode::ACCEPTED, Json(asked)))
}

/// Follow no more
#[utoipa::path(delete, path = "/api/v1/subscriptions/{id}", tag = "transfers", params(("id" = String, Path), End), responses(
    (status = 202, body = Task, description = "The task by which what came is removed"),
    (status = 204, description = "What came stays"),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 422, body = Document),
    (status = 429, body = Document, description = "The destination has too many tasks before it"),
))]
pub(super) async fn delete(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    end: End,
) -> Result<Response, Problem> {
    let user = user.may(Right::WriteTransfers)?;
    let (ground, keys) = (standing.ground()?, standing.keys()?);
    let mut db = standing.begin(&user).await?;
    let found = found(&mut db, &user, &id).await?;
    let mut dispatch = Dispatch::new(&keys, ground.news());
    let task = dispatch
        .unsubscribe(&mut db, &found, end.content == Content::Remove, &user.name)
        .await
        .map_err(|error| match error.kind() {
            Fault::Ceiling => Problem::TOO_MANY_TASKS.with(RETRY_AFTER, 60),
            _ => Problem::from(error),
        })?;
    db.commit().await.map_err(Error::from)?;
    dispatch.tell(ground);
    Ok(match task {
        Some(task) => (StatusCode::ACCEPTED, Json(task)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

async fn found(
    db: &mut Transaction<'_, Sqlite>,
    user: &Principal,
    id: &str,
) -> Result<Subscription, Problem> {
    Subscription::find(db, user, id).await?.ok_or(Problem::NOT_FOUND)
}
