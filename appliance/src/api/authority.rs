//! `/api/v1/authority`: on a server, the key by which its nodes know it, and the next one.

use axum::Json;
use hyper::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::request::{Body, LoggedIn, Standing};
use crate::access::Right;
use crate::authority::rotation::{self, Forced, Standing as Authority};
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};
use crate::service::take_step;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// The step to be taken now, whatever nodes it waits for: these have to be enrolled anew. Left out, another key is made.
    force: Option<Forced>,
}

/// See how the authority stands
#[utoipa::path(get, path = "/api/v1/authority", tag = "nodes", responses(
    (status = 200, body = Authority),
    (status = 401, body = Document),
    (status = 403, body = Document),
))]
pub(super) async fn read(standing: Standing, user: LoggedIn) -> Result<Json<Authority>, Problem> {
    user.may(Right::ReadNodes)?;
    let ground = standing.ground()?;
    let mut db = ground.database.begin().await?;
    Ok(Json(rotation::standing(&mut db).await?))
}

fn in_the_way(error: Error) -> Problem {
    match error.kind() {
        Kind::Taken | Kind::Changed => Problem::CONFLICT.about(format!("{}.", error.reason())),
        _ => Problem::from(error),
    }
}

/// Put another key in the place of the authority's
///
/// Nodes are told of it; when all know it, it is used; when all have certificates that it signed, the former one is gone.
#[utoipa::path(post, path = "/api/v1/authority/rotate", tag = "nodes", request_body = Rotation, responses(
    (status = 202, body = Authority),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 409, body = Document, description = "Another key is on its way already, or the step that is forced is not the next"),
    (status = 422, body = Document),
))]
pub(super) async fn rotate(
    standing: Standing,
    user: LoggedIn,
    Body(rotation): Body<Rotation>,
) -> Result<(StatusCode, Json<Authority>), Problem> {
    let user = user.may(Right::WriteNodes)?;
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let mut db = standing.begin(&user).await?;
    if rotation.force.is_none() {
        rotation::begin(&mut db, &user.name, now)
            .await
            .map_err(in_the_way)?;
    }
    db.commit().await.map_err(Error::from)?;
    take_step(&standing.0, &user.name, rotation.force)
        .await
        .map_err(in_the_way)?;
    let mut db = ground.database.begin().await?;
    let authority = rotation::standing(&mut db).await?;
    Ok((StatusCode::ACCEPTED, Json(authority)))
}
