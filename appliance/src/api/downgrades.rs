//! `/api/v1/policies/{tenant}/downgrades`: older versions that may come from other nodes, each once.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use serde::Deserialize;
use sqlx::{Sqlite, Transaction};
use utoipa::ToSchema;

use super::once::Wish;
use super::request::{LoggedIn, Standing};
use super::whose::Whose;
use crate::access::{Name, Principal, Right};
use crate::audit::{self, Deed};
use crate::catalog::{Downgrade, Label, Remembered};
use crate::clock::Moment;
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDowngrade {
    /// The catalog's name.
    catalog: Name,
    /// The item's: it need not be there any more.
    item: Name,
    /// The version that is allowed.
    #[schema(value_type = String)]
    version: Label,
}

impl NewDowngrade {
    fn of(&self, tenant: Option<String>) -> Remembered {
        Remembered {
            tenant,
            catalog: self.catalog.to_string(),
            item: self.item.to_string(),
        }
    }
}

/// List older versions that are allowed, and did not come yet
#[utoipa::path(get, path = "/api/v1/policies/{tenant}/downgrades", tag = "trust",
    params(("tenant" = String, Path, description = "A tenant's id, or `provider`")), responses(
    (status = 200, body = [Downgrade]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    whose: Whose,
) -> Result<Json<Vec<Downgrade>>, Problem> {
    let user = user.may(Right::ReadTrust)?;
    let mut db = standing.ground()?.database.begin().await?;
    let tenant = whose.seen_by(&mut db, &user).await?;
    Ok(Json(Downgrade::list(&mut db, tenant.as_deref()).await?))
}

/// Allow that an older version comes from another node, once
#[utoipa::path(post, path = "/api/v1/policies/{tenant}/downgrades", tag = "trust", request_body = NewDowngrade,
    params(("tenant" = String, Path, description = "A tenant's id, or `provider`"),
        ("Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[!-~]+$")), responses(
    (status = 201, body = Downgrade),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "The key came with another request before"),
    (status = 422, body = Document),
))]
pub(super) async fn create(
    standing: Standing,
    whose: Whose,
    wish: Wish<NewDowngrade>,
) -> Result<Response, Problem> {
    let (user, new, once) = (wish.user.may(Right::WriteTrust)?, wish.body, wish.once);
    let now = standing.ground()?.clock.now();
    let mut db = standing.begin(&user).await?;
    if let Some(answer) = once.answered(&mut db, &user, now).await? {
        return Ok(answer);
    }
    let tenant = whose.seen_by(&mut db, &user).await?;
    let item = new.of(tenant);
    let allowed = item.allow(&mut db, new.version.clone(), &user.name, now).await;
    let allowed = allowed.map_err(|error| match error.kind() {
        Kind::Ceiling => Problem::INVALID.about(error.to_string()),
        _ => Problem::from(error),
    })?;
    record(&mut db, &user, "downgrade.allow", (&item, &new.version), now).await?;
    once.keep(&mut db, &user, now, StatusCode::CREATED, &allowed)
        .await?;
    db.commit().await.map_err(Error::from)?;
    Ok((StatusCode::CREATED, Json(allowed)).into_response())
}

/// Take such a permission back
#[utoipa::path(delete, path = "/api/v1/policies/{tenant}/downgrades/{catalog}/{item}/{version}", tag = "trust",
    params(("tenant" = String, Path, description = "A tenant's id, or `provider`"),
        ("catalog" = String, Path), ("item" = String, Path), ("version" = String, Path)), responses(
    (status = 204),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn delete(
    standing: Standing,
    user: LoggedIn,
    path: Result<Path<(String, String, String, String)>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let user = user.may(Right::WriteTrust)?;
    let Path((whose, catalog, item, version)) = path.map_err(|_| Problem::NOT_FOUND)?;
    let version = Label::try_from(version).map_err(|_| Problem::NOT_FOUND)?;
    let now = standing.ground()?.clock.now();
    let mut db = standing.begin(&user).await?;
    let tenant = Whose::of(whose).seen_by(&mut db, &user).await?;
    let item = Remembered {
        tenant,
        catalog,
        item,
    };
    if !item.forbid(&mut db, &version).await? {
        return Err(Problem::NOT_FOUND);
    }
    record(&mut db, &user, "downgrade.forbid", (&item, &version), now).await?;
    db.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn record(
    db: &mut Transaction<'_, Sqlite>,
    user: &Principal,
    action: &str,
    (item, version): (&Remembered, &Label),
    now: Moment,
) -> Result<(), Error> {
    let deed = Deed {
        actor: &user.name,
        tenant: item.tenant.as_deref(),
        action,
        object: &format!("{}/{} {version}", item.catalog, item.item),
        outcome: "done",
    };
    audit::record(db, deed, now).await
}
