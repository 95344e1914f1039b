//! `/api/v1/configuration`: the connector's own settings.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse};

use super::request::{Body, LoggedIn, Matches, Standing, etag};
use crate::access::Right;
use crate::audit::{self, Deed};
use crate::configuration::{Own, Settings};
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};

/// Read this connector's settings
#[utoipa::path(get, path = "/api/v1/configuration", tag = "configuration", responses(
    (status = 200, body = Own),
    (status = 401, body = Document),
    (status = 403, body = Document),
))]
pub(super) async fn read(standing: Standing, user: LoggedIn) -> Result<impl IntoResponse, Problem> {
    user.may(Right::ReadConfiguration)?;
    let own = Own::read(&mut standing.ground()?.database.begin().await?).await?;
    Ok((AppendHeaders([etag(own.revision)]), Json(own)))
}

/// Change this connector's settings; a node's server is told
#[utoipa::path(put, path = "/api/v1/configuration", tag = "configuration", request_body = Settings,
    params(("If-Match" = String, Header)), responses(
    (status = 200, body = Own),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 412, body = Document),
    (status = 422, body = Document),
    (status = 428, body = Document),
))]
pub(super) async fn write(
    standing: Standing,
    user: LoggedIn,
    Matches(revision): Matches,
    Body(settings): Body<Settings>,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::WriteConfiguration)?;
    let ground = standing.ground()?;
    let mut db = standing.begin(&user).await?;
    let own = Own::change(&mut db, settings, revision)
        .await
        .map_err(|error| match error.kind() {
            Kind::Malformed => Problem::INVALID.about(error.reason().to_owned()),
            _ => Problem::from(error),
        })?;
    let deed = Deed {
        actor: &user.name,
        tenant: None,
        action: "configuration.change",
        object: "own",
        outcome: "done",
    };
    audit::record(&mut db, deed, ground.clock.now()).await?;
    db.commit().await.map_err(Error::from)?;
    ground.settings.send_replace(own.settings.clone());
    Ok((AppendHeaders([etag(own.revision)]), Json(own)))
}
