//! `/api/v1/enrolment`: on a node, its server.

use std::net::SocketAddr;

use axum::Json;
use hyper::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::request::{Body, LoggedIn, Standing};
use crate::access::Right;
use crate::audit::{self, Deed};
use crate::authority::EnrolmentCode;
use crate::enrolment::{self, Enrolment};
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEnrolment {
    /// The server's address and port.
    #[schema(value_type = String, example = "192.0.2.5:443")]
    server: SocketAddr,
    /// What the server's administrator gave for this node.
    code: String,
}

/// Ask a server to take this node in
#[utoipa::path(post, path = "/api/v1/enrolment", tag = "enrolment", request_body = NewEnrolment, responses(
    (status = 202, body = Enrolment),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 409, body = Document, description = "The node has a server already"),
    (status = 422, body = Document),
    (status = 502, body = Document, description = "The server can't be reached, is another, or refuses"),
))]
pub(super) async fn create(
    standing: Standing,
    user: LoggedIn,
    Body(new): Body<NewEnrolment>,
) -> Result<(StatusCode, Json<Enrolment>), Problem> {
    let user = user.may(Right::WriteNodes)?;
    let code = EnrolmentCode::parse(&new.code).ok_or(Problem::INVALID.about("code is no enrolment code"))?;
    let ground = standing.ground()?;
    let name = standing.0.view().machine.hostname;
    let begun = enrolment::begin(ground, new.server, &code, name.as_str()).await;
    let begun = begun.map_err(|error| match error.kind() {
        Kind::Taken => Problem::CONFLICT.about("The node has a server already."),
        Kind::Unreachable | Kind::Stranger | Kind::Refused | Kind::Malformed => {
            Problem::BAD_SERVER.about(error.chain().to_string())
        }
        _ => Problem::from(error),
    })?;
    let mut db = ground.database.begin().await?;
    let deed = Deed {
        actor: &user.name,
        tenant: None,
        action: "enrolment.create",
        object: &begun.server,
        outcome: "done",
    };
    audit::record(&mut db, deed, ground.clock.now()).await?;
    db.commit().await.map_err(Error::from)?;
    standing.0.enrolment_begun();
    Ok((StatusCode::ACCEPTED, Json(begun)))
}

/// How the enrolment stands
#[utoipa::path(get, path = "/api/v1/enrolment", tag = "enrolment", responses(
    (status = 200, body = Enrolment),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document, description = "No server was asked yet"),
))]
pub(super) async fn read(standing: Standing, user: LoggedIn) -> Result<Json<Enrolment>, Problem> {
    user.may(Right::ReadNodes)?;
    let enrolment = enrolment::standing(standing.ground()?).await?;
    enrolment.map(Json).ok_or(Problem::NOT_FOUND)
}
