//! `/api/v1/quotas`: how much room a tenant may take, and takes.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request::{Body, LoggedIn, Matches, Standing, etag};
use super::whose::Whose;
use crate::access::Right;
use crate::audit::{self, Deed};
use crate::catalog::{Quota, Usage};
use crate::error::Error;
use crate::http::problem::{Document, Problem};

/// What a tenant may take, and takes.
#[derive(Serialize, ToSchema)]
pub(super) struct Room {
    /// The most bytes; none for as much as the disk has.
    quota: Option<i64>,
    #[serde(flatten)]
    usage: Usage,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewQuota {
    /// The most bytes; null for as much as the disk has.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(minimum = 0, required)]
    quota: Option<i64>,
}

/// Read what a tenant may take, and takes
#[utoipa::path(get, path = "/api/v1/quotas/{tenant}", tag = "catalogs",
    params(("tenant" = String, Path, description = "A tenant's id, or `provider`")), responses(
    (status = 200, body = Room),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    whose: Whose,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadCatalogs)?;
    let mut db = standing.ground()?.database.begin().await?;
    let tenant = whose.seen_by(&mut db, &user).await?;
    let quota = Quota::of(&mut db, tenant.as_deref()).await?;
    let room = Room {
        quota: quota.bytes,
        usage: Usage::of(&mut db, tenant.as_deref()).await?,
    };
    Ok((AppendHeaders([etag(quota.revision)]), Json(room)))
}

/// Limit what a tenant may take; less than it takes already only keeps more from coming
#[utoipa::path(put, path = "/api/v1/quotas/{tenant}", tag = "catalogs", request_body = NewQuota,
    params(("tenant" = String, Path, description = "A tenant's id"), ("If-Match" = String, Header)), responses(
    (status = 200, body = Room),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 412, body = Document),
    (status = 422, body = Document),
    (status = 428, body = Document),
))]
pub(super) async fn write(
    standing: Standing,
    user: LoggedIn,
    whose: Whose,
    Matches(revision): Matches,
    Body(new): Body<NewQuota>,
) -> Result<impl IntoResponse, Problem> {
    // It is the provider's room.
    let user = user.may(Right::WriteTenants)?;
    if new.quota.is_some_and(i64::is_negative) {
        return Err(Problem::INVALID.about("a quota is 0 bytes at least"));
    }
    let mut db = standing.begin(&user).await?;
    let tenant = whose.seen_by(&mut db, &user).await?;
    let tenant =
        tenant.ok_or(Problem::INVALID.about("what is the provider's own is limited by the disk alone"))?;
    let quota = Quota::set(&mut db, &tenant, new.quota, revision).await?;
    let deed = Deed {
        actor: &user.name,
        tenant: Some(&tenant),
        action: "quota.change",
        object: &new.quota.map_or("none".to_owned(), |bytes| bytes.to_string()),
        outcome: "done",
    };
    audit::record(&mut db, deed, standing.ground()?.clock.now()).await?;
    let room = Room {
        quota: quota.bytes,
        usage: Usage::of(&mut db, Some(&tenant)).await?,
    };
    db.commit().await.map_err(Error::from)?;
    Ok((AppendHeaders([etag(quota.revision)]), Json(room)))
}
