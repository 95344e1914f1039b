//! `/api/v1/enrolments` and `/api/v1/heartbeats`: on the server, what its nodes ask.

use axum::Json;
use axum::extract::Path;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request::{Body, FromNode, Shown, Standing};
use crate::access::Name;
use crate::audit::{self, Deed};
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};
use crate::node::{self, Beat, Heartbeat, Node};

/// What a node asks with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// The secret of its enrolment code, base64.
    code: String,
    name: Name,
    /// A request for a certificate (PKCS#10) in DER, base64: of it the key counts.
    request: String,
    #[schema(max_length = 64)]
    version: String,
}

/// A request that waits for a person.
#[derive(Serialize, ToSchema)]
pub(super) struct Waiting {
    node: String,
    /// Asks how it stands, as `Authorization: Bearer`.
    poll: String,
}

/// What wrong codes are counted under.
const GUESSES: &str = "enrolment code";

/// Ask to be taken in
#[utoipa::path(post, path = "/api/v1/enrolments", tag = "nodes", request_body = Request, security(()), responses(
    (status = 202, body = Waiting),
    (status = 401, body = Document, description = "The code is wrong, used or too old"),
    (status = 422, body = Document),
    (status = 429, body = Document, description = "Too many wrong codes"),
))]
pub(super) async fn create(
    standing: Standing,
    Body(request): Body<Request>,
) -> Result<(StatusCode, Json<Waiting>), Problem> {
    let ground = standing.ground()?;
    let now = ground.clock.now();
    if let Some(wait) = ground.attempts.wait(GUESSES, now) {
        return Err(Problem::TOO_MANY_ATTEMPTS.with(RETRY_AFTER, wait.as_secs().max(1)));
    }
    let bytes = |name: &str, text: &str| {
        BASE64_STANDARD
            .decode(text)
            .map_err(|_| Problem::INVALID.about(format!("{name} is not base64")))
    };
    let (code, asked) = (bytes("code", &request.code)?, bytes("request", &request.request)?);
    if request.version.len() > 64 {
        return Err(Problem::INVALID.about("version is longer than 64 bytes"));
    }
    let mut db = ground.database.begin().await?;
    let enrolled = Node::enrol(
        &mut db,
        &code,
        request.name,
        &asked,
        &request.version,
        ground.news(),
    )
    .await;
    let enrolled = enrolled.map_err(|error| match error.kind() {
        Kind::Malformed => Problem::INVALID.about("request is no request for a certificate"),
        Kind::Ceiling => Problem::TOO_MANY_ATTEMPTS.with(RETRY_AFTER, 60),
        _ => Problem::from(error),
    })?;
    let Some((node, poll)) = enrolled else {
        ground.attempts.wrong(GUESSES, now);
        return Err(Problem::WRONG_CREDENTIALS);
    };
    let deed = Deed {
        actor: &node.name,
        tenant: None,
        action: "node.ask",
        object: &node.id,
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    db.commit().await.map_err(Error::from)?;
    let waiting = Waiting {
        node: node.id,
        poll: poll.reveal().to_owned(),
    };
    Ok((StatusCode::ACCEPTED, Json(waiting)))
}

/// How a request stands
#[utoipa::path(get, path = "/api/v1/enrolments/{id}", tag = "nodes", params(("id" = String, Path)), responses(
    (status = 200, body = node::Standing),
    (status = 401, body = Document),
    (status = 404, body = Document, description = "There is none, or it is another's"),
))]
pub(super) async fn read(
    standing: Standing,
    Shown(secret): Shown,
    Path(id): Path<String>,
) -> Result<Json<node::Standing>, Problem> {
    let mut db = standing.ground()?.database.begin().await?;
    let standing = Node::standing(&mut db, &id, &secret).await?;
    standing.map(Json).ok_or(Problem::NOT_FOUND)
}

/// Tell that one lives
#[utoipa::path(post, path = "/api/v1/heartbeats", tag = "nodes", request_body = Heartbeat, security(()), responses(
    (status = 200, body = Beat),
    (status = 401, body = Document, description = "No certificate of a node was shown"),
    (status = 403, body = Document, description = "The node is suspended or revoked"),
    (status = 422, body = Document),
))]
pub(super) async fn beat(
    standing: Standing,
    FromNode(peer): FromNode,
    Body(sign): Body<Heartbeat>,
) -> Result<Json<Beat>, Problem> {
    if sign.nonce.len() > 64 || sign.version.len() > 64 {
        return Err(Problem::INVALID.about("nonce and version are 64 bytes at most"));
    }
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let mut db = ground.database.begin().await?;
    let beat = Node::beat(&mut db, peer.node, &sign, ground.news()).await?;
    if beat.is_none() {
        let deed = Deed {
            actor: "server",
            tenant: None,
            action: "node.suspend",
            object: &peer.node.to_string(),
            outcome: "done",
        };
        audit::record(&mut db, deed, now).await?;
    }
    db.commit().await.map_err(Error::from)?;
    beat.map(Json).ok_or(Problem::NODE_SUSPENDED)
}
