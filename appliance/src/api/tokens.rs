//! `/api/v1/tokens`: what programs log in with.

use std::time::Duration;

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse, Response};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::once::Wish;
use super::request::{Id, LoggedIn, Page, Standing};
use crate::access::{Name, Right, Rights, Role, Secret, Token, User};
use crate::audit::{self, Deed};
use crate::error::Error;
use crate::http::problem::{Document, Problem};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// What it is for.
    name: Name,
    /// The robot that it is for; oneself, if left out.
    owner: Option<String>,
    /// What it may do.
    scope: Vec<Right>,
    /// How long it is good.
    #[schema(minimum = 1, maximum = 366)]
    days: u16,
}

/// A token that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct Made {
    /// To be sent as `Authorization: Bearer`. It is never shown again.
    secret: String,
    #[serde(flatten)]
    token: Token,
}

/// List tokens: one's own, or all where one sees users
#[utoipa::path(get, path = "/api/v1/tokens", tag = "tokens", params(Page), responses(
    (status = 200, body = [Token]),
    (status = 401, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    LoggedIn(user): LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let mut db = standing.ground()?.database.begin().await?;
    let own = !user.may(Right::ReadUsers);
    let tokens = Token::list(&mut db, &user, own, page.cursor(), page.limit()).await?;
    let last = tokens.last().map(|token| token.id.as_str());
    let link = page.link("/api/v1/tokens", tokens.len(), last);
    Ok((AppendHeaders(link), Json(tokens)))
}

/// Make a token, for oneself or for a robot
#[utoipa::path(post, path = "/api/v1/tokens", tag = "tokens", request_body = NewToken,
    params(("Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[!-~]+$")), responses(
    (status = 201, body = Made),
    (status = 401, body = Document),
    (status = 403, body = Document, description = "The scope is wider than what the user may do"),
    (status = 404, body = Document, description = "There is no such robot"),
    (status = 409, body = Document, description = "The Idempotency-Key was used before"),
    (status = 422, body = Document),
))]
pub(super) async fn create(standing: Standing, wish: Wish<NewToken>) -> Result<Response, Problem> {
    let (LoggedIn(user), new, once) = (wish.user, wish.body, wish.once);
    // A token that makes tokens would outlive its own end.
    if !user.is_session {
        return Err(Problem::FORBIDDEN.about("Tokens are made by people, with a session."));
    }
    let scope = Rights::of(&new.scope);
    if !scope.within(user.rights) {
        return Err(Problem::FORBIDDEN.about("The scope is wider than what this user may do."));
    }
    if !(1..=366).contains(&new.days) {
        return Err(Problem::INVALID.about("days is 1 to 366"));
    }
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let mut db = standing.begin(&user).await?;
    // The secret is told once: whoever lost it makes another token.
    if let Some(answer) = once.answered(&mut db, &user, now).await? {
        return Ok(answer);
    }
    let (owner, tenant) = match new.owner {
        None => (user.id.clone(), user.tenant.clone()),
        Some(id) if id == user.id => (id, user.tenant.clone()),
        Some(_) if !user.may(Right::WriteUsers) => return Err(Problem::FORBIDDEN),
        Some(id) => {
            let robot = User::find(&mut db, &user, &id).await?;
            let robot = robot.filter(|robot| robot.role == Role::Robot);
            let robot = robot.ok_or(Problem::NOT_FOUND)?;
            (robot.id, robot.tenant)
        }
    };
    let (secret, expires) = (Secret::new()?, now.after(DAY * u32::from(new.days)));
    let made = crate::access::NewToken {
        name: Some(new.name.to_string()),
        owner: owner.clone(),
        scope,
        expires,
    };
    let id = made.create(&mut db, &secret, now).await?;
    let deed = Deed {
        actor: &user.name,
        tenant: tenant.as_deref(),
        action: "token.create",
        object: &id,
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    once.keep_secret(&mut db, &user, now).await?;
    db.commit().await.map_err(Error::from)?;
    let token = Token {
        id,
        name: new.name.to_string(),
        owner,
        scope: scope.each().collect(),
        created: now,
        expires,
        used: now,
    };
    let made = Made {
        secret: secret.reveal().to_owned(),
        token,
    };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// End a token at once
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "tokens", params(("id" = String, Path)), responses(
    (status = 204),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn delete(
    standing: Standing,
    LoggedIn(user): LoggedIn,
    Id(id): Id,
) -> Result<StatusCode, Problem> {
    let ground = standing.ground()?;
    let mut db = standing.begin(&user).await?;
    let own = !user.may(Right::WriteUsers);
    let tenant = Token::tenant_of(&mut db, &user, own, &id).await?;
    let tenant = tenant.ok_or(Problem::NOT_FOUND)?;
    // A program ends itself, and no other.
    if own && !user.is_session && user.token != id {
        return Err(Problem::FORBIDDEN);
    }
    Token::revoke(&mut db, &id).await?;
    let deed = Deed {
        actor: &user.name,
        tenant: tenant.as_deref(),
        action: "token.delete",
        object: &id,
        outcome: "done",
    };
    audit::record(&mut db, deed, ground.clock.now()).await?;
    db.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}
