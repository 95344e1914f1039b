//! `/api/v1/tenants`.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse, Response};
use hyper::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::once::Wish;
use super::request::{Id, LoggedIn, Matches, Page, Standing, etag};
use crate::access::{Name, Right};
use crate::audit::{self, Deed};
use crate::error::Error;
use crate::http::problem::{Document, Problem};
use crate::tenant::Tenant;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTenant {
    name: Name,
}

/// List tenants
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants", params(Page), responses(
    (status = 200, body = [Tenant]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadTenants)?;
    let mut db = standing.ground()?.database.begin().await?;
    let tenants = Tenant::list(&mut db, &user, page.cursor(), page.limit()).await?;
    let last = tenants.last().map(|tenant| tenant.name.as_str());
    let link = page.link("/api/v1/tenants", tenants.len(), last);
    Ok((AppendHeaders(link), Json(tenants)))
}

/// Make a tenant
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", request_body = NewTenant,
    params(("Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[!-~]+$")), responses(
    (status = 201, body = Tenant),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 409, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn create(standing: Standing, wish: Wish<NewTenant>) -> Result<Response, Problem> {
    let (user, new, once) = (wish.user.may(Right::WriteTenants)?, wish.body, wish.once);
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let mut db = standing.begin(&user).await?;
    if let Some(answer) = once.answered(&mut db, &user, now).await? {
        return Ok(answer);
    }
    let tenant = Tenant::create(&mut db, new.name, now).await?;
    let deed = Deed {
        actor: &user.name,
        tenant: Some(&tenant.id),
        action: "tenant.create",
        object: &tenant.name,
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    once.keep(&mut db, &user, now, StatusCode::CREATED, &tenant)
        .await?;
    db.commit().await.map_err(Error::from)?;
    Ok((
        StatusCode::CREATED,
        AppendHeaders([etag(tenant.revision)]),
        Json(tenant),
    )
        .into_response())
}

/// Read a tenant
#[utoipa::path(get, path = "/api/v1/tenants/{id}", tag = "tenants", params(("id" = String, Path)), responses(
    (status = 200, body = Tenant),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadTenants)?;
    let mut db = standing.ground()?.database.begin().await?;
    let tenant = Tenant::find(&mut db, &user, &id)
        .await?
        .ok_or(Problem::NOT_FOUND)?;
    Ok((AppendHeaders([etag(tenant.revision)]), Json(tenant)))
}

/// Remove a tenant to which nothing belongs
#[utoipa::path(delete, path = "/api/v1/tenants/{id}", tag = "tenants",
    params(("id" = String, Path), ("If-Match" = String, Header)), responses(
    (status = 204),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "Something belongs to it"),
    (status = 412, body = Document),
    (status = 428, body = Document),
))]
pub(super) async fn delete(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    Matches(revision): Matches,
) -> Result<StatusCode, Problem> {
    let user = user.may(Right::WriteTenants)?;
    let ground = standing.ground()?;
    let mut db = standing.begin(&user).await?;
    let tenant = Tenant::find(&mut db, &user, &id)
        .await?
        .ok_or(Problem::NOT_FOUND)?;
    Tenant {
        revision,
        ..tenant.clone()
    }
    .delete(&mut db)
    .await?;
    let deed = Deed {
        actor: &user.name,
        tenant: Some(&tenant.id),
        action: "tenant.delete",
        object: &tenant.name,
        outcome: "done",
    };
    audit::record(&mut db, deed, ground.clock.now()).await?;
    db.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}
