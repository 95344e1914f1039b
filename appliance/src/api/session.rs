//! `/api/v1/session`: logging in and out, and who one is.

use axum::Json;
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request::{Body, From, LoggedIn, Standing};
use crate::access::{NewToken, Right, Role, Secret, Token, User, is_login};
use crate::audit::{self, Deed};
use crate::clock::Moment;
use crate::error::Error;
use crate::http::problem::{Document, Problem};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// NAME, or TENANT/NAME.
    name: String,
    #[schema(format = Password)]
    password: String,
}

/// A session that was begun.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    /// To be sent as `Authorization: Bearer`.
    token: String,
    /// When it ends at the latest; it ends after an hour without requests.
    #[schema(value_type = String, format = DateTime)]
    expires: Moment,
    user: User,
}

/// Who makes a request.
#[derive(Serialize, ToSchema)]
pub(super) struct Who {
    id: String,
    name: String,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// What it may do.
    rights: Vec<Right>,
}

/// Log in
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = Login, security(()), responses(
    (status = 201, body = Session),
    (status = 401, body = Document, description = "Name or password is wrong"),
    (status = 422, body = Document),
    (status = 429, body = Document, description = "Too many wrong passwords, or too many people at once"),
))]
pub(super) async fn create(
    standing: Standing,
    From(from): From,
    Body(login): Body<Login>,
) -> Result<(StatusCode, Json<Session>), Problem> {
    let ground = standing.ground()?;
    let now = ground.clock.now();
    // What is no user's name takes no room, and no time.
    if !is_login(&login.name) {
        return Err(Problem::WRONG_CREDENTIALS);
    }
    let name = login.name;
    let Some(waiting) = ground.logins.enter(from) else {
        return Err(Problem::TOO_MANY_LOGINS.with(RETRY_AFTER, 2));
    };
    if let Err(wait) = ground.attempts.begin(&name, from, now) {
        return Err(Problem::TOO_MANY_ATTEMPTS.with(RETRY_AFTER, wait.as_secs().max(1)));
    }
    let known = User::of_login(&mut ground.database.begin().await?, &name).await?;
    let hash = known.as_ref().map(|(_, hash)| hash.clone());
    // A robot's is empty, and no password's.
    let right = ground.passwords.is(hash, login.password).await?;
    drop(waiting);
    let mut db = ground.database.begin().await?;
    // The password may have been changed while it was compared.
    let still = User::of_login(&mut db, &name).await?;
    let known = known.filter(|known| still.as_ref() == Some(known));
    let deed = |outcome| Deed {
        actor: known.as_ref().map_or("nobody", |(user, _)| &user.login),
        tenant: known.as_ref().and_then(|(user, _)| user.tenant.as_deref()),
        action: "session.create",
        object: "",
        outcome,
    };
    let Some((user, _)) = known.as_ref().filter(|_| right) else {
        // Names that nobody has would fill the log at anybody's will.
        if known.is_some() {
            audit::record(&mut db, deed("refused"), now).await?;
        }
        db.commit().await.map_err(Error::from)?;
        return Err(Problem::WRONG_CREDENTIALS);
    };
    ground.attempts.right(&name, from);
    let (secret, new) = (Secret::new()?, NewToken::session(&user.id, now));
    let expires = new.expires;
    new.create(&mut db, &secret, now).await?;
    audit::record(&mut db, deed("done"), now).await?;
    db.commit().await.map_err(Error::from)?;
    let session = Session {
        token: secret.reveal().to_owned(),
        expires,
        user: user.clone(),
    };
    Ok((StatusCode::CREATED, Json(session)))
}

/// Who am I
#[utoipa::path(get, path = "/api/v1/session", tag = "session", responses(
    (status = 200, body = Who),
    (status = 401, body = Document),
))]
pub(super) async fn read(LoggedIn(principal): LoggedIn) -> Json<Who> {
    Json(Who {
        rights: principal.rights.each().collect(),
        id: principal.id,
        name: principal.name,
        role: principal.role,
        tenant: principal.tenant,
    })
}

/// Log out
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", responses(
    (status = 204),
    (status = 401, body = Document),
))]
pub(super) async fn delete(standing: Standing, LoggedIn(principal): LoggedIn) -> Result<StatusCode, Problem> {
    let mut db = standing.ground()?.database.begin().await?;
    Token::revoke(&mut db, &principal.token).await?;
    db.commit().await.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}
