//! `/api/v1/enrolments`, `/api/v1/heartbeats`, `/api/v1/certificates`: on the server, what its nodes ask.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Json;
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::request::{Body, From, FromNode, Id, Shown, Standing, sent_away};
use crate::audit::{self, Deed};
use crate::configuration;
use crate::endpoint::Endpoint;
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};
use crate::node::{Application, Beat, Cost, Heartbeat, Node, Sign, Standing as Decision, State};
use crate::task::Task;

/// A request that waits for a person.
#[derive(Serialize, ToSchema)]
pub(super) struct Waiting {
    /// The node's id.
    node: String,
}

/// A request for the next certificate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Renewal {
    /// A request for a certificate (PKCS#10) in DER, base64: of it the key counts.
    #[schema(max_length = 8192)]
    request: String,
}

/// Ask to be taken in
#[utoipa::path(post, path = "/api/v1/enrolments", tag = "nodes", request_body = Application, security(()), responses(
    (status = 202, body = Waiting),
    (status = 401, body = Document, description = "The code is wrong, used or too old"),
    (status = 422, body = Document),
    (status = 429, body = Document, description = "Too many nodes wait for a decision"),
))]
pub(super) async fn create(
    standing: Standing,
    Body(application): Body<Application>,
) -> Result<(StatusCode, Json<Waiting>), Problem> {
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let mut db = ground.database.begin().await?;
    // A code is of 128 random bits: guesses need no limit.
    let taken = application
        .take(&mut db, now)
        .await
        .map_err(|error| match error.kind() {
            Kind::Malformed => Problem::INVALID.about(error.to_string()),
            Kind::Ceiling => Problem::TOO_MANY_WAIT.with(RETRY_AFTER, 60),
            _ => Problem::from(error),
        })?;
    let (node, is_new) = taken.ok_or(Problem::WRONG_CREDENTIALS)?;
    if is_new {
        let deed = Deed {
            actor: application.name.as_str(),
            tenant: None,
            action: "node.ask",
            object: &node,
            outcome: "done",
        };
        audit::record(&mut db, deed, now).await?;
    }
    let asking = Node::find(&mut db, &node, ground.news()).await?;
    db.commit().await.map_err(Error::from)?;
    ground.events.tell("node", &node, &asking, now);
    Ok((StatusCode::ACCEPTED, Json(Waiting { node })))
}

/// How a request stands
#[utoipa::path(get, path = "/api/v1/enrolments/{id}", tag = "nodes", params(("id" = String, Path)), responses(
    (status = 200, body = Decision),
    (status = 401, body = Document),
    (status = 404, body = Document, description = "There is none, or it is another's"),
))]
pub(super) async fn read(
    standing: Standing,
    Shown(secret): Shown,
    Id(id): Id,
) -> Result<Json<Decision>, Problem> {
    let mut db = standing.ground()?.database.begin().await?;
    let decision = Node::standing(&mut db, &id, &secret).await?;
    decision.map(Json).ok_or(Problem::NOT_FOUND)
}

/// The longest that a node's request is held while there is no news for it.
const LONGEST_WAIT: u32 = 30_000;

/// Keys that a node may tell of.
const MOST_AUTHORITIES: usize = 8;

/// Tell that one lives, and wait for news
#[utoipa::path(post, path = "/api/v1/heartbeats", tag = "nodes", request_body = Heartbeat, security(()), responses(
    (status = 200, body = Beat),
    (status = 401, body = Document, description = "No certificate of a node was shown"),
    (status = 403, body = Document, description = "The node is suspended or revoked"),
    (status = 409, body = Document, description = "The node knows more than the server"),
    (status = 422, body = Document),
    (status = 429, body = Document, description = "The node asks too often"),
))]
pub(super) async fn beat(
    standing: Standing,
    node: FromNode,
    from: From,
    Body(sign): Body<Heartbeat>,
) -> Result<Json<Beat>, Problem> {
    let too_long = |text: &str, most: usize| text.chars().count() > most;
    let report = &sign.configuration;
    if too_long(&sign.nonce, 64)
        || too_long(&sign.version, 64)
        || report.push.as_ref().is_some_and(|push| too_long(push, 64))
        || report.refused.as_ref().is_some_and(|why| too_long(why, 500))
        || sign.wait > LONGEST_WAIT
        || sign.counter < 0
        || sign.authorities.len() > MOST_AUTHORITIES
        || sign.port == Some(0)
    {
        return Err(Problem::INVALID.about("a value is longer or larger than it may be"));
    }
    report
        .settings
        .check()
        .map_err(|reason| Problem::INVALID.about(reason))?;
    let cost = if sign.advance {
        Cost::Number
    } else {
        Cost::Heartbeat
    };
    node.pays(&standing, cost)?;
    let counter = take(&standing, &node, &from, &sign).await?;
    let ground = standing.ground()?;
    let id = node.id();
    let until = Instant::now() + Duration::from_millis(u64::from(sign.wait));
    let nudge = ground.nudges.of(&id);
    let mut is_due = false;
    loop {
        let mut db = ground.database.begin().await?;
        // It may have been sent away while it waited.
        node.admit(&mut db, ground.clock.now()).await?;
        let known = Node::find(&mut db, &id, ground.news()).await?;
        let known = known.ok_or(Problem::NODE_REVOKED)?;
        let push = configuration::push(&mut db, &known, sign.configuration.push.as_deref()).await?;
        let tasks = Task::orders(&mut db, &id).await?;
        if is_due || push.is_some() || Instant::now() >= until {
            let keys = standing.keys()?;
            let beat = Beat {
                configuration: push,
                tasks,
                renew: keys.former.is_some() && !node.is_signed_by(&mut db, keys.current.digest()).await?,
                ..Beat::new(counter, &keys)
            };
            return Ok(Json(match sign.advance {
                true => beat.with_certificates(&keys),
                false => beat,
            }));
        }
        db.commit().await.map_err(Error::from)?;
        // Whatever comes, or nothing: the next round answers.
        let _ = timeout_at(until, nudge.notified()).await;
        is_due = true;
    }
}

/// Where other nodes reach the one that a heartbeat is of.
fn reached_at(from: &From, sign: &Heartbeat) -> Option<Endpoint> {
    let seen = || Some(SocketAddr::new(from.0?.to_canonical(), sign.port?).into());
    sign.endpoint.clone().or_else(seen)
}

/// Notes the sign; gives the number that is agreed on.
async fn take(standing: &Standing, node: &FromNode, from: &From, sign: &Heartbeat) -> Result<i64, Problem> {
    let ground = standing.ground()?;
    let (now, id) = (ground.clock.now(), node.id());
    let mut db = ground.database.begin().await?;
    let taken = if node.comes_from_the_past(&mut db, now).await? {
        Node::comes_from_the_past(&mut db, &id).await?
    } else {
        node.admit(&mut db, now).await?;
        Node::beat(&mut db, &id, sign, ground.news()).await?
    };
    if let Some(next) = standing.keys()?.next_key()
        && sign.authorities.contains(&next)
    {
        Node::knows(&mut db, &id, next).await?;
    }
    if let Some(endpoint) = reached_at(from, sign) {
        Node::is_reached_at(&mut db, &id, &endpoint).await?;
    }
    let action = match taken {
        Sign::Taken(_) | Sign::Unexplained { is_new: false } => None,
        Sign::Ahead(_) => Some(("node.ahead", "done")),
        Sign::Unexplained { is_new: true } => Some(("node.ahead", "refused")),
        Sign::Past => Some(("node.suspend", "done")),
    };
    if let Some((action, outcome)) = action {
        let deed = Deed {
            actor: "server",
            tenant: None,
            action,
            object: &id,
            outcome,
        };
        audit::record(&mut db, deed, now).await?;
    }
    let told = configuration::note(&mut db, &id, &sign.configuration).await?;
    let known = match told || action.is_some() {
        true => Node::find(&mut db, &id, ground.news()).await?,
        false => None,
    };
    db.commit().await.map_err(Error::from)?;
    if let Some(known) = known {
        ground.events.tell("node", &id, &known, now);
    }
    match taken {
        Sign::Taken(counter) | Sign::Ahead(counter) => Ok(counter),
        Sign::Past => Err(sent_away(Problem::NODE_SUSPENDED)),
        Sign::Unexplained { .. } => Err(sent_away(Problem::SERVER_BEHIND)),
    }
}

/// Ask for the next certificate
#[utoipa::path(post, path = "/api/v1/certificates", tag = "nodes", request_body = Renewal, security(()), responses(
    (status = 201, body = Decision),
    (status = 401, body = Document, description = "No certificate of a node was shown"),
    (status = 403, body = Document, description = "The node is suspended or revoked"),
    (status = 409, body = Document, description = "The node knows more than the server"),
    (status = 422, body = Document),
    (status = 429, body = Document, description = "The node asks too often"),
    (status = 503, body = Document, description = "The server's clock cannot be right"),
))]
pub(super) async fn renew(
    standing: Standing,
    node: FromNode,
    Body(renewal): Body<Renewal>,
) -> Result<(StatusCode, Json<Decision>), Problem> {
    node.pays(&standing, Cost::Certificate)?;
    let (ground, keys) = (standing.ground()?, standing.keys()?);
    let now = standing.plausible_time()?;
    let mut db = ground.database.begin().await?;
    node.admit(&mut db, now).await?;
    let known = Node::find(&mut db, &node.id(), ground.news()).await?;
    let known = known.ok_or(Problem::NODE_REVOKED)?;
    let certificate = known
        .renew(&mut db, &keys.current, node.certificate(), &renewal.request, now)
        .await
        .map_err(|error| match error.kind() {
            Kind::Malformed => Problem::INVALID.about(error.to_string()),
            _ => Problem::from(error),
        })?;
    let deed = Deed {
        actor: &known.name,
        tenant: None,
        action: "node.renew",
        object: &known.id,
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    db.commit().await.map_err(Error::from)?;
    let decision = Decision {
        state: State::Active,
        certificate: Some(certificate),
    };
    Ok((StatusCode::CREATED, Json(decision)))
}
