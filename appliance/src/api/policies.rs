//! `/api/v1/policies`: what a tenant asks of packages.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse};

use super::request::{Body, LoggedIn, Matches, Standing, etag};
use super::whose::Whose;
use crate::access::Right;
use crate::audit::{self, Deed};
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};
use crate::trust::Policy;

/// Read what is asked of packages
#[utoipa::path(get, path = "/api/v1/policies/{tenant}", tag = "trust",
    params(("tenant" = String, Path, description = "A tenant's id, or `provider`")), responses(
    (status = 200, body = Policy),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    whose: Whose,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadTrust)?;
    let mut db = standing.ground()?.database.begin().await?;
    let tenant = whose.seen_by(&mut db, &user).await?;
    let (policy, revision) = Policy::of(&mut db, tenant.as_deref()).await?;
    Ok((AppendHeaders([etag(revision)]), Json(policy)))
}

/// Ask something else of packages from now on
#[utoipa::path(put, path = "/api/v1/policies/{tenant}", tag = "trust", request_body = Policy,
    params(("tenant" = String, Path, description = "A tenant's id, or `provider`"), ("If-Match" = String, Header)), responses(
    (status = 200, body = Policy),
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
    Body(policy): Body<Policy>,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::WriteTrust)?;
    let mut db = standing.begin(&user).await?;
    let tenant = whose.seen_by(&mut db, &user).await?;
    let revision = policy
        .set(&mut db, tenant.as_deref(), revision)
        .await
        .map_err(|error| match error.kind() {
            Kind::Malformed => Problem::INVALID.about(error.chain().to_string()),
            _ => Problem::from(error),
        })?;
    let deed = Deed {
        actor: &user.name,
        tenant: tenant.as_deref(),
        action: "policy.change",
        object: "policy",
        outcome: "done",
    };
    audit::record(&mut db, deed, standing.ground()?.clock.now()).await?;
    db.commit().await.map_err(Error::from)?;
    Ok((AppendHeaders([etag(revision)]), Json(policy)))
}
