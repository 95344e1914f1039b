//! `/api/v1/users`.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse, Response};
use hyper::StatusCode;
use serde::Deserialize;
use sqlx::{Sqlite, Transaction};
use utoipa::ToSchema;

use super::once::Wish;
use super::request::{Body, Id, LoggedIn, Matches, Page, Standing, etag};
use crate::access::{Name, Password, Principal, Right, Rights, Role, User, UserChange};
use crate::audit::{self, Deed};
use crate::clock::Moment;
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    name: Name,
    role: Role,
    /// The id of its tenant; a tenant's administrator leaves it out.
    tenant: Option<String>,
    /// 10 characters at least; a robot has none.
    #[schema(format = Password, min_length = 10, max_length = 256)]
    password: Option<String>,
}

/// What is to be another; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserPatch {
    role: Option<Role>,
    #[schema(format = Password, min_length = 10, max_length = 256)]
    password: Option<String>,
}

/// List users
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(Page), responses(
    (status = 200, body = [User]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadUsers)?;
    let mut db = standing.ground()?.database.begin().await?;
    let users = User::list(&mut db, &user, page.cursor(), page.limit()).await?;
    let last = users.last().map(|user| user.login.as_str());
    let link = page.link("/api/v1/users", users.len(), last);
    Ok((AppendHeaders(link), Json(users)))
}

/// Make a user
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = NewUser,
    params(("Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[!-~]+$")), responses(
    (status = 201, body = User),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 409, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn create(standing: Standing, wish: Wish<NewUser>) -> Result<Response, Problem> {
    let (user, new, once) = (wish.user.may(Right::WriteUsers)?, wish.body, wish.once);
    let ground = standing.ground()?;
    let tenant = new.tenant.or_else(|| user.tenant.clone());
    if !user.sees(tenant.as_deref()) {
        return Err(Problem::FORBIDDEN.about("The tenant is another's."));
    }
    grantable(&user, new.role, tenant.is_some())?;
    let hash = match (new.role, new.password) {
        (Role::Robot, None) => None,
        (Role::Robot, Some(_)) => return Err(Problem::INVALID.about("a robot has tokens, and no password")),
        (_, None) => return Err(Problem::INVALID.about("password is missing")),
        (_, Some(password)) => Some(ground.passwords.hash(fine(password)?).await?),
    };
    let now = ground.clock.now();
    let mut db = standing.begin(&user).await?;
    if let Some(answer) = once.answered(&mut db, &user, now).await? {
        return Ok(answer);
    }
    let new = crate::access::NewUser {
        name: new.name,
        role: new.role,
        tenant,
        hash,
    };
    let made = User::create(&mut db, new, now)
        .await
        .map_err(|error| match error.kind() {
            Kind::Unknown => Problem::INVALID.about("there is no such tenant"),
            _ => Problem::from(error),
        })?;
    record(&mut db, &user, "user.create", &made, now).await?;
    once.keep(&mut db, &user, now, StatusCode::CREATED, &made).await?;
    db.commit().await.map_err(Error::from)?;
    Ok((
        StatusCode::CREATED,
        AppendHeaders([etag(made.revision)]),
        Json(made),
    )
        .into_response())
}

/// Read a user
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "users", params(("id" = String, Path)), responses(
    (status = 200, body = User),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadUsers)?;
    let mut db = standing.ground()?.database.begin().await?;
    let found = User::find(&mut db, &user, &id).await?.ok_or(Problem::NOT_FOUND)?;
    Ok((AppendHeaders([etag(found.revision)]), Json(found)))
}

/// Change a user's role or password; its sessions end
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", request_body = UserPatch,
    params(("id" = String, Path), ("If-Match" = String, Header)), responses(
    (status = 200, body = User),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "The last administrator of the provider stays one"),
    (status = 412, body = Document),
    (status = 422, body = Document),
    (status = 428, body = Document),
))]
pub(super) async fn change(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    Matches(revision): Matches,
    Body(patch): Body<UserPatch>,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::WriteUsers)?;
    let ground = standing.ground()?;
    let hash = match patch.password {
        Some(password) => Some(ground.passwords.hash(fine(password)?).await?),
        None => None,
    };
    let mut db = standing.begin(&user).await?;
    let found = User::find(&mut db, &user, &id).await?.ok_or(Problem::NOT_FOUND)?;
    grantable(&user, found.role, found.tenant.is_some())?;
    let role = patch.role.unwrap_or(found.role);
    grantable(&user, role, found.tenant.is_some())?;
    if (found.role == Role::Robot) != (role == Role::Robot) || (role == Role::Robot && hash.is_some()) {
        return Err(Problem::INVALID.about("a robot has no password, and stays a robot"));
    }
    keep_one(&mut db, &found, role == Role::ProviderAdmin).await?;
    let change = UserChange {
        role: patch.role,
        hash,
    };
    let changed = User { revision, ..found }.change(&mut db, change).await?;
    record(&mut db, &user, "user.change", &changed, ground.clock.now()).await?;
    db.commit().await.map_err(Error::from)?;
    Ok((AppendHeaders([etag(changed.revision)]), Json(changed)))
}

/// Remove a user, with its sessions and tokens
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "users",
    params(("id" = String, Path), ("If-Match" = String, Header)), responses(
    (status = 204),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "The last administrator of the provider stays"),
    (status = 412, body = Document),
    (status = 428, body = Document),
))]
pub(super) async fn delete(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    Matches(revision): Matches,
) -> Result<StatusCode, Problem> {
    let user = user.may(Right::WriteUsers)?;
    let ground = standing.ground()?;
    let mut db = standing.begin(&user).await?;
    let found = User::find(&mut db, &user, &id).await?.ok_or(Problem::NOT_FOUND)?;
    grantable(&user, found.role, found.tenant.is_some())?;
    keep_one(&mut db, &found, false).await?;
    let found = User { revision, ..found };
    found.delete(&mut db).await?;
    record(&mut db, &user, "user.delete", &found, ground.clock.now()).await?;
    db.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

fn fine(password: String) -> Result<Password, Problem> {
    Password::new(password).map_err(|reason| Problem::INVALID.about(reason))
}

/// Nobody makes somebody who may do more than oneself.
fn grantable(user: &Principal, role: Role, in_tenant: bool) -> Result<(), Problem> {
    if role.of_tenant().is_some_and(|of_tenant| of_tenant != in_tenant) {
        let reason = match in_tenant {
            true => "a user of this role is the provider's, and of no tenant",
            false => "a user of this role belongs to a tenant",
        };
        return Err(Problem::INVALID.about(reason));
    }
    // A robot may do what its tokens say, and these never say more than whoever makes them may do.
    let most = match in_tenant {
        true => Rights::of_tenants(),
        false => Rights::all(),
    };
    match role == Role::Robot || role.rights().and(most).within(user.rights) {
        true => Ok(()),
        false => Err(Problem::FORBIDDEN.about("The role may do more than this session or token.")),
    }
}

async fn keep_one(db: &mut Transaction<'_, Sqlite>, user: &User, stays: bool) -> Result<(), Problem> {
    if user.role == Role::ProviderAdmin && !stays && User::administrators(db).await? < 2 {
        return Err(Problem::CONFLICT.about("The last administrator of the provider stays."));
    }
    Ok(())
}

async fn record(
    db: &mut Transaction<'_, Sqlite>,
    actor: &Principal,
    action: &str,
    user: &User,
    now: Moment,
) -> Result<(), Error> {
    let deed = Deed {
        actor: &actor.name,
        tenant: user.tenant.as_deref(),
        action,
        object: &user.login,
        outcome: "done",
    };
    audit::record(db, deed, now).await
}
