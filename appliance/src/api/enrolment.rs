//! `/api/v1/enrolment`: on a node, its server.

use std::sync::Arc;

use axum::Json;
use hyper::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::request::{Body, LoggedIn, Standing};
use crate::access::{Name, Right};
use crate::authority::EnrolmentCode;
use crate::endpoint::Endpoint;
use crate::enrolment::{self, Enrolment};
use crate::error::Kind;
use crate::hostname::Hostname;
use crate::http::problem::{Document, Problem};
use crate::service::Context;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewEnrolment {
    /// The server's name or address; its port, if that is not 443.
    #[schema(value_type = String, example = "server.example.com:443")]
    server: Endpoint,
    /// What the server's administrator gave for this node.
    code: String,
    /// The name of the cloud that the node works in.
    cloud: Name,
    /// The node's name; its host's, if left out.
    name: Option<Name>,
}

impl NewEnrolment {
    fn read(self, host: &Hostname, actor: &str) -> Result<enrolment::NewEnrolment, Problem> {
        let code = EnrolmentCode::parse(&self.code);
        let code = code.ok_or(Problem::INVALID.about("code is no enrolment code"))?;
        let name = match self.name {
            Some(name) => name,
            None => {
                Name::try_from(host.as_str().to_owned()).map_err(|reason| Problem::INVALID.about(reason))?
            }
        };
        Ok(enrolment::NewEnrolment {
            server: self.server,
            code,
            name,
            cloud: self.cloud,
            actor: actor.to_owned(),
        })
    }

    /// Asks the server in somebody's name.
    pub(super) async fn begin(self, context: &Arc<Context>, actor: &str) -> Result<Enrolment, Problem> {
        let new = self.read(&context.machine().hostname, actor)?;
        let context = Arc::clone(context);
        // It goes on to its end, also where nobody waits for the answer any more.
        let begun = tokio::spawn(async move {
            let ground = context.ground().ok_or(Problem::STATE_UNAVAILABLE)?;
            let begun = enrolment::begin(ground, new).await.map_err(told);
            context.enrolment_begun();
            begun
        });
        begun.await.map_err(|_| Problem::INTERNAL)?
    }
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
    standing
        .begin(&user)
        .await?
        .rollback()
        .await
        .map_err(crate::error::Error::from)?;
    let begun = new.begin(&standing.0, &user.name).await?;
    Ok((StatusCode::ACCEPTED, Json(begun)))
}

fn told(error: crate::error::Error) -> Problem {
    match error.kind() {
        Kind::Taken => Problem::CONFLICT.about(format!("{}.", error.reason())),
        Kind::Unknown
        | Kind::Unreachable
        | Kind::Stranger
        | Kind::Clock
        | Kind::Refused
        | Kind::Malformed => Problem::BAD_SERVER.about(error.chain().to_string()),
        _ => Problem::from(error),
    }
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

/// Leave the server, which has to send the node away by itself
#[utoipa::path(delete, path = "/api/v1/enrolment", tag = "enrolment", responses(
    (status = 204),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document, description = "No server was asked yet"),
))]
pub(super) async fn delete(standing: Standing, user: LoggedIn) -> Result<StatusCode, Problem> {
    let user = user.may(Right::WriteNodes)?;
    match enrolment::leave(standing.ground()?, &user.name).await? {
        true => {
            standing.0.enrolment_begun();
            Ok(StatusCode::NO_CONTENT)
        }
        false => Err(Problem::NOT_FOUND),
    }
}
