//! `/api/v1/trust-roots`: whom a tenant believes.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse, Response};
use hyper::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::once::Wish;
use super::request::{Id, LoggedIn, Page, Standing};
use super::whose::Whose;
use crate::access::{Name, Right};
use crate::audit::{self, Deed};
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};
use crate::trust::Root;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTrustRoot {
    /// What it is to be called.
    name: Name,
    /// One certificate, PEM: an authority's, or a publisher's own.
    certificate: String,
    /// Who is to believe it: the provider says so, a tenant's user need not. None for the provider's own.
    tenant: Option<String>,
}

/// List the certificates that are believed
#[utoipa::path(get, path = "/api/v1/trust-roots", tag = "trust", params(Page), responses(
    (status = 200, body = [Root]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadTrust)?;
    let mut db = standing.ground()?.database.begin().await?;
    let roots = Root::list(&mut db, &user, page.cursor(), page.limit()).await?;
    let last = roots.last().map(|root| root.id.as_str());
    let link = page.link("/api/v1/trust-roots", roots.len(), last);
    Ok((AppendHeaders(link), Json(roots)))
}

/// Believe a certificate
#[utoipa::path(post, path = "/api/v1/trust-roots", tag = "trust", request_body = NewTrustRoot,
    params(("Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[!-~]+$")), responses(
    (status = 201, body = Root),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 409, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn create(standing: Standing, wish: Wish<NewTrustRoot>) -> Result<Response, Problem> {
    let (user, new, once) = (wish.user.may(Right::WriteTrust)?, wish.body, wish.once);
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let tenant = Whose::meant(&user, new.tenant)?;
    let mut db = standing.begin(&user).await?;
    if let Some(answer) = once.answered(&mut db, &user, now).await? {
        return Ok(answer);
    }
    let root = Root::create(&mut db, tenant, new.name, &new.certificate, now)
        .await
        .map_err(|error| match error.kind() {
            Kind::Malformed | Kind::Ceiling => Problem::INVALID.about(error.to_string()),
            _ => Problem::from(error),
        })?;
    audit::record(&mut db, deed(&user.name, "trust-root.create", &root), now).await?;
    once.keep(&mut db, &user, now, StatusCode::CREATED, &root).await?;
    db.commit().await.map_err(Error::from)?;
    Ok((StatusCode::CREATED, Json(root)).into_response())
}

/// Read a certificate that is believed
#[utoipa::path(get, path = "/api/v1/trust-roots/{id}", tag = "trust", params(("id" = String, Path)), responses(
    (status = 200, body = Root),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(standing: Standing, user: LoggedIn, Id(id): Id) -> Result<Json<Root>, Problem> {
    let user = user.may(Right::ReadTrust)?;
    let mut db = standing.ground()?.database.begin().await?;
    let root = Root::find(&mut db, &user, &id).await?;
    Ok(Json(root.ok_or(Problem::NOT_FOUND)?))
}

/// Believe a certificate no more; what was published under it stays
#[utoipa::path(delete, path = "/api/v1/trust-roots/{id}", tag = "trust", params(("id" = String, Path)), responses(
    (status = 204),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn delete(standing: Standing, user: LoggedIn, Id(id): Id) -> Result<StatusCode, Problem> {
    let user = user.may(Right::WriteTrust)?;
    let mut db = standing.begin(&user).await?;
    let root = Root::find(&mut db, &user, &id).await?.ok_or(Problem::NOT_FOUND)?;
    root.delete(&mut db).await?;
    let now = standing.ground()?.clock.now();
    audit::record(&mut db, deed(&user.name, "trust-root.delete", &root), now).await?;
    db.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

fn deed<'a>(actor: &'a str, action: &'a str, root: &'a Root) -> Deed<'a> {
    Deed {
        actor,
        tenant: root.tenant.as_deref(),
        action,
        object: &root.fingerprint,
        outcome: "done",
    }
}
