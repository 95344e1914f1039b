//! `/api/v1/enrolment-codes` and `/api/v1/nodes`: on the server, who its nodes are.

use std::time::Duration;

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse};
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request::{Body, Id, LoggedIn, Page, Standing, etag};
use crate::access::Right;
use crate::audit::{self, Deed};
use crate::authority::EnrolmentCode;
use crate::clock::Moment;
use crate::error::Error;
use crate::http::problem::{Document, Problem};
use crate::node::{self, Node, State};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewCode {
    /// How long it is good.
    #[schema(minimum = 1, maximum = 10080)]
    minutes: u32,
}

/// A code that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct Code {
    /// To be given to one node; it is good once, and never shown again.
    code: String,
    #[schema(value_type = String, format = DateTime)]
    expires: Moment,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    /// The fingerprint that the node shows.
    fingerprint: String,
    /// The id of the node whose place it takes, with what was wanted of that; the other is sent away.
    replaces: Option<String>,
}

/// Make an enrolment code for one node
#[utoipa::path(post, path = "/api/v1/enrolment-codes", tag = "nodes", request_body = NewCode, responses(
    (status = 201, body = Code),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn create_code(
    standing: Standing,
    user: LoggedIn,
    Body(new): Body<NewCode>,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::WriteNodes)?;
    if !(1..=10_080).contains(&new.minutes) {
        return Err(Problem::INVALID.about("minutes is 1 to 10080"));
    }
    let (ground, keys) = (standing.ground()?, standing.keys()?);
    let mut secret = [0; 16];
    crate::entropy::fill(&mut secret)?;
    let code = EnrolmentCode {
        secret,
        authority: keys.current.digest(),
    };
    let now = ground.clock.now();
    let expires = now.after(Duration::from_secs(u64::from(new.minutes) * 60));
    let mut db = standing.begin(&user).await?;
    node::give_code(&mut db, &secret, expires, now).await?;
    let deed = Deed {
        actor: &user.name,
        tenant: None,
        action: "enrolment-code.create",
        object: "",
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    db.commit().await.map_err(Error::from)?;
    let code = Code {
        code: code.reveal(),
        expires,
    };
    Ok((StatusCode::CREATED, Json(code)))
}

/// List nodes
#[utoipa::path(get, path = "/api/v1/nodes", tag = "nodes", params(Page), responses(
    (status = 200, body = [Node]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    user.may(Right::ReadNodes)?;
    let ground = standing.ground()?;
    let mut db = ground.database.begin().await?;
    let nodes = Node::list(&mut db, None, page.cursor(), page.limit(), ground.news()).await?;
    let last = nodes.last().map(|node| node.id.as_str());
    let link = page.link("/api/v1/nodes", nodes.len(), last);
    Ok((AppendHeaders(link), Json(nodes)))
}

/// Read a node
#[utoipa::path(get, path = "/api/v1/nodes/{id}", tag = "nodes", params(("id" = String, Path)), responses(
    (status = 200, body = Node),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
) -> Result<impl IntoResponse, Problem> {
    user.may(Right::ReadNodes)?;
    let ground = standing.ground()?;
    let mut db = ground.database.begin().await?;
    let node = Node::find(&mut db, &id, ground.news())
        .await?
        .ok_or(Problem::NOT_FOUND)?;
    Ok((AppendHeaders([etag(node.revision)]), Json(node)))
}

/// Take a node in, whose fingerprint was compared
#[utoipa::path(post, path = "/api/v1/nodes/{id}/approve", tag = "nodes", request_body = Approval,
    params(("id" = String, Path)), responses(
    (status = 200, body = Node),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "The fingerprint is another, or the node is not pending"),
    (status = 422, body = Document),
    (status = 503, body = Document, description = "The server's clock cannot be right"),
))]
pub(super) async fn approve(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    Body(approval): Body<Approval>,
) -> Result<Json<Node>, Problem> {
    let user = user.may(Right::WriteNodes)?;
    let (ground, keys) = (standing.ground()?, standing.keys()?);
    let now = standing.plausible_time()?;
    let mut db = standing.begin(&user).await?;
    let node = Node::find(&mut db, &id, ground.news())
        .await?
        .ok_or(Problem::NOT_FOUND)?;
    if node.state != State::Pending {
        return Err(Problem::CONFLICT.about(format!("The node is {}.", node.state)));
    }
    let bare = |text: &str| text.replace(['-', ':', ' '], "").to_ascii_uppercase();
    if bare(&approval.fingerprint) != bare(&node.fingerprint) {
        return Err(Problem::CONFLICT
            .about("The node's key is another: its fingerprint is not the one that was compared."));
    }
    let mut replaced = None;
    if let Some(id) = &approval.replaces {
        let other = Node::find(&mut db, id, ground.news()).await?;
        let other = other.filter(|other| other.id != node.id && other.state != State::Pending);
        let other = other.ok_or(Problem::INVALID.about("replaces is no node that was taken in"))?;
        node.replace(&mut db, &other).await?;
        let deed = Deed {
            actor: &user.name,
            tenant: None,
            action: "node.revoke",
            object: &other.id,
            outcome: "done",
        };
        audit::record(&mut db, deed, now).await?;
        replaced = Node::find(&mut db, &other.id, ground.news()).await?;
    }
    node.approve(&mut db, &keys.current, now).await?;
    let approved = finish(&standing, db, &user.name, "node.approve", &node.id).await?;
    if let Some(replaced) = replaced {
        ground.nudges.wake(&replaced.id);
        ground.events.tell("node", &replaced.id, &replaced, now);
    }
    Ok(Json(approved))
}

/// Send a node away for good
#[utoipa::path(post, path = "/api/v1/nodes/{id}/revoke", tag = "nodes", params(("id" = String, Path)), responses(
    (status = 200, body = Node),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 412, body = Document),
))]
pub(super) async fn revoke(standing: Standing, user: LoggedIn, Id(id): Id) -> Result<Json<Node>, Problem> {
    let user = user.may(Right::WriteNodes)?;
    let ground = standing.ground()?;
    let mut db = standing.begin(&user).await?;
    let node = Node::find(&mut db, &id, ground.news())
        .await?
        .ok_or(Problem::NOT_FOUND)?;
    node.revoke(&mut db).await?;
    finish(&standing, db, &user.name, "node.revoke", &node.id)
        .await
        .map(Json)
}

async fn finish(
    standing: &Standing,
    mut db: sqlx::Transaction<'static, sqlx::Sqlite>,
    actor: &str,
    action: &str,
    id: &str,
) -> Result<Node, Problem> {
    let news = standing.ground()?.news();
    let now = news.now;
    let node = Node::find(&mut db, id, news).await?.ok_or(Problem::NOT_FOUND)?;
    let deed = Deed {
        actor,
        tenant: None,
        action,
        object: id,
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    db.commit().await.map_err(Error::from)?;
    let ground = standing.ground()?;
    ground.nudges.wake(&node.id);
    ground.events.tell("node", &node.id, &node, now);
    Ok(node)
}
