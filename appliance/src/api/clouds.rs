//! `/api/v1/clouds`: on a server, the clouds that its nodes work in.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse};

use super::request::{Id, LoggedIn, Page, Standing};
use crate::access::Right;
use crate::cloud::{Cloud, Status};
use crate::http::problem::{Document, Problem};

/// List clouds
#[utoipa::path(get, path = "/api/v1/clouds", tag = "clouds", params(Page), responses(
    (status = 200, body = [Cloud]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    user.may(Right::ReadNodes)?;
    let mut db = standing.ground()?.database.begin().await?;
    let clouds = Cloud::list(&mut db, page.cursor(), page.limit()).await?;
    let last = clouds.last().map(|cloud| cloud.name.as_str());
    let link = page.link("/api/v1/clouds", clouds.len(), last);
    Ok((AppendHeaders(link), Json(clouds)))
}

/// Read a cloud
#[utoipa::path(get, path = "/api/v1/clouds/{id}", tag = "clouds", params(("id" = String, Path)), responses(
    (status = 200, body = Cloud),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(standing: Standing, user: LoggedIn, Id(id): Id) -> Result<Json<Cloud>, Problem> {
    user.may(Right::ReadNodes)?;
    let mut db = standing.ground()?.database.begin().await?;
    let cloud = Cloud::find(&mut db, &id).await?;
    cloud.map(Json).ok_or(Problem::NOT_FOUND)
}

/// See how a cloud is
#[utoipa::path(get, path = "/api/v1/clouds/{id}/status", tag = "clouds", params(("id" = String, Path)), responses(
    (status = 200, body = Status),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn status(standing: Standing, user: LoggedIn, Id(id): Id) -> Result<Json<Status>, Problem> {
    user.may(Right::ReadNodes)?;
    let ground = standing.ground()?;
    let mut db = ground.database.begin().await?;
    let cloud = Cloud::find(&mut db, &id).await?.ok_or(Problem::NOT_FOUND)?;
    Ok(Json(cloud.status(&mut db, ground.news()).await?))
}
