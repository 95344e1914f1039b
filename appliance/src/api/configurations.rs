//! `/api/v1/configurations`: on a server, what is wanted of its nodes, and how far each has come.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse};

use super::request::{Body, Id, LoggedIn, Matches, Page, Standing, etag};
use crate::access::Right;
use crate::audit::{self, Deed};
use crate::configuration::{self, Configuration, NewConfiguration, Scope, Status};
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};
use crate::node::{Node, State};

fn scope(text: &str) -> Result<Scope, Problem> {
    Scope::parse(text).ok_or(Problem::NOT_FOUND.about("A scope is all, cloud:NAME or node:ID."))
}

/// List what is wanted, by scope: of all nodes, of each cloud's, of each node
///
/// A cloud that has no nodes yet has its scope, too. What is wanted of nodes that were sent away is left out.
#[utoipa::path(get, path = "/api/v1/configurations", tag = "configuration", params(Page), responses(
    (status = 200, body = [Configuration]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    user.may(Right::ReadConfiguration)?;
    let mut db = standing.ground()?.database.begin().await?;
    let wanted = Configuration::list(&mut db, page.cursor(), page.limit()).await?;
    let last = wanted.last().map(|wanted| wanted.scope.as_str());
    let link = page.link("/api/v1/configurations", wanted.len(), last);
    Ok((AppendHeaders(link), Json(wanted)))
}

/// Read what is wanted
#[utoipa::path(get, path = "/api/v1/configurations/{scope}", tag = "configuration",
    params(("scope" = String, Path, description = "`all`, `cloud:NAME` or `node:ID`")), responses(
    (status = 200, body = Configuration),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    Id(name): Id,
) -> Result<impl IntoResponse, Problem> {
    user.may(Right::ReadConfiguration)?;
    let mut db = standing.ground()?.database.begin().await?;
    let wanted = Configuration::of(&mut db, &scope(&name)?).await?;
    Ok((AppendHeaders([etag(wanted.version)]), Json(wanted)))
}

/// Want something else; `If-Match: "0"` where nothing was ever wanted
#[utoipa::path(put, path = "/api/v1/configurations/{scope}", tag = "configuration", request_body = NewConfiguration,
    params(("scope" = String, Path, description = "`all`, `cloud:NAME` or `node:ID`"), ("If-Match" = String, Header)),
    responses(
    (status = 200, body = Configuration),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 412, body = Document),
    (status = 422, body = Document),
    (status = 428, body = Document),
))]
pub(super) async fn write(
    standing: Standing,
    user: LoggedIn,
    Id(name): Id,
    Matches(version): Matches,
    Body(new): Body<NewConfiguration>,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::WriteConfiguration)?;
    let (ground, scope) = (standing.ground()?, scope(&name)?);
    let now = ground.clock.now();
    let mut db = standing.begin(&user).await?;
    if let Scope::Node(id) = &scope {
        let node = Node::find(&mut db, id, ground.news()).await?;
        node.ok_or(Problem::NOT_FOUND)?;
    }
    let wanted = Configuration::want(&mut db, &scope, version, new, &user, now)
        .await
        .map_err(|error| match error.kind() {
            Kind::Malformed => Problem::INVALID.about(error.reason().to_owned()),
            _ => Problem::from(error),
        })?;
    let deed = Deed {
        actor: &user.name,
        tenant: None,
        action: "configuration.change",
        object: &format!("{scope} {}", wanted.version),
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    db.commit().await.map_err(Error::from)?;
    match &scope {
        Scope::Node(id) => ground.nudges.wake(id),
        Scope::All | Scope::Cloud(_) => ground.nudges.wake_all(),
    }
    ground.events.tell("configuration", &wanted.scope, &wanted, now);
    Ok((AppendHeaders([etag(wanted.version)]), Json(wanted)))
}

/// List the versions, the newest first: what was wanted, when, by whom or by what rule
#[utoipa::path(get, path = "/api/v1/configurations/{scope}/versions", tag = "configuration",
    params(("scope" = String, Path, description = "`all`, `cloud:NAME` or `node:ID`"), Page), responses(
    (status = 200, body = [Configuration]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn history(
    standing: Standing,
    user: LoggedIn,
    Id(name): Id,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    user.may(Right::ReadConfiguration)?;
    let scope = scope(&name)?;
    let before = page.number()?.unwrap_or(i64::MAX);
    let mut db = standing.ground()?.database.begin().await?;
    let versions = Configuration::history(&mut db, &scope, before, page.limit()).await?;
    let last = versions.last().map(|wanted| wanted.version.to_string());
    let path = format!("/api/v1/configurations/{scope}/versions");
    let link = page.link(&path, versions.len(), last.as_deref());
    Ok((AppendHeaders(link), Json(versions)))
}

/// See how far a node has come
#[utoipa::path(get, path = "/api/v1/nodes/{id}/configuration", tag = "configuration",
    params(("id" = String, Path)), responses(
    (status = 200, body = Status),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
))]
pub(super) async fn status(standing: Standing, user: LoggedIn, Id(id): Id) -> Result<Json<Status>, Problem> {
    user.may(Right::ReadConfiguration)?;
    let ground = standing.ground()?;
    let mut db = ground.database.begin().await?;
    let node = Node::find(&mut db, &id, ground.news()).await?;
    let status = Status::of(&mut db, &node.ok_or(Problem::NOT_FOUND)?).await?;
    Ok(Json(status))
}

/// Have a node follow anew, over what was changed on it
#[utoipa::path(post, path = "/api/v1/nodes/{id}/configuration/apply", tag = "configuration",
    params(("id" = String, Path)), responses(
    (status = 200, body = Status),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "The node is not one of the server's"),
))]
pub(super) async fn apply(standing: Standing, user: LoggedIn, Id(id): Id) -> Result<Json<Status>, Problem> {
    let user = user.may(Right::WriteConfiguration)?;
    let ground = standing.ground()?;
    let mut db = standing.begin(&user).await?;
    let node = Node::find(&mut db, &id, ground.news()).await?;
    let node = node.ok_or(Problem::NOT_FOUND)?;
    if node.state != State::Active {
        return Err(Problem::CONFLICT.about(format!("The node is {}.", node.state)));
    }
    configuration::apply(&mut db, &node.id).await?;
    let deed = Deed {
        actor: &user.name,
        tenant: None,
        action: "configuration.apply",
        object: &node.id,
        outcome: "done",
    };
    audit::record(&mut db, deed, ground.clock.now()).await?;
    let status = Status::of(&mut db, &node).await?;
    db.commit().await.map_err(Error::from)?;
    ground.nudges.wake(&node.id);
    Ok(Json(status))
}
