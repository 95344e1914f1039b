//! `/api/v1/tasks`: on a server, what its nodes have to do.

use std::time::Duration;

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{LOCATION, RETRY_AFTER};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::once::Wish;
use super::request::{Body, FromNode, Id, LoggedIn, Page, Standing, Wait, etag};
use crate::access::Right;
use crate::audit::{self, Deed};
use crate::error::{Error, Kind as Fault};
use crate::http::problem::{Document, Problem};
use crate::node::{Cost, Node, State};
use crate::task::{Kind, Progress, Task};
use crate::transfer::Dispatch;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTask {
    /// What is to be done.
    kind: Kind,
}

/// Order a task of a node
#[utoipa::path(post, path = "/api/v1/nodes/{id}/tasks", tag = "tasks", request_body = NewTask,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[!-~]+$")), responses(
    (status = 202, body = Task),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "The node is not one of the server's"),
    (status = 422, body = Document),
    (status = 429, body = Document, description = "The node has too many tasks before it"),
))]
pub(super) async fn create(
    standing: Standing,
    Id(node): Id,
    wish: Wish<NewTask>,
) -> Result<Response, Problem> {
    let user = wish.user.may(Right::WriteTasks)?;
    if !wish.body.kind.is_ordered_by_people() {
        return Err(Problem::INVALID.about("such tasks are parts of transfers"));
    }
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let mut db = standing.begin(&user).await?;
    if let Some(answer) = wish.once.answered(&mut db, &user, now).await? {
        return Ok(answer);
    }
    let node = Node::find(&mut db, &node, ground.news()).await?;
    let node = node.ok_or(Problem::NOT_FOUND)?;
    if node.state != State::Active {
        return Err(Problem::CONFLICT.about(format!("The node is {}.", node.state)));
    }
    let task = Task::order(&mut db, &node.id, wish.body.kind, None, &user.name, now)
        .await
        .map_err(|error| match error.kind() {
            Fault::Ceiling => Problem::TOO_MANY_TASKS.with(RETRY_AFTER, 60),
            _ => Problem::from(error),
        })?;
    let deed = Deed {
        actor: &user.name,
        tenant: None,
        action: "task.create",
        object: &task.id,
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    wish.once
        .keep(&mut db, &user, now, StatusCode::ACCEPTED, &task)
        .await?;
    db.commit().await.map_err(Error::from)?;
    ground.nudges.wake(&node.id);
    ground.events.tell("task", &task.id, &task, now);
    let place = [
        (LOCATION, format!("/api/v1/tasks/{}", task.id)),
        etag(task.revision),
    ];
    Ok((StatusCode::ACCEPTED, AppendHeaders(place), Json(task)).into_response())
}

/// List tasks, the newest first, without their results
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks", params(Page), responses(
    (status = 200, body = [Task]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    of(standing, user, None, page, "/api/v1/tasks".to_owned()).await
}

/// List a node's tasks, the newest first, without their results
#[utoipa::path(get, path = "/api/v1/nodes/{id}/tasks", tag = "tasks", params(("id" = String, Path), Page), responses(
    (status = 200, body = [Task]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list_of_node(
    standing: Standing,
    user: LoggedIn,
    Id(node): Id,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let path = format!("/api/v1/nodes/{node}/tasks");
    of(standing, user, Some(&node), page, path).await
}

async fn of(
    standing: Standing,
    user: LoggedIn,
    node: Option<&str>,
    page: Page,
    path: String,
) -> Result<impl IntoResponse + use<>, Problem> {
    user.may(Right::ReadTasks)?;
    let ground = standing.ground()?;
    let before = page.before()?;
    let mut db = ground.database.begin().await?;
    let tasks = Task::list(&mut db, node, before, page.limit(), ground.clock.now()).await?;
    let last = tasks.last().map(|task| format!("{}_{}", task.created.0, task.id));
    let link = page.link(&path, tasks.len(), last.as_deref());
    Ok((AppendHeaders(link), Json(tasks)))
}

/// Read a task, and where `wait` says so, wait for its next change
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "tasks", params(("id" = String, Path), Wait), responses(
    (status = 200, body = Task),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    wait: Wait,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadTasks)?;
    let ground = standing.ground()?;
    let until = Instant::now() + Duration::from_secs(u64::from(wait.seconds()));
    let mut events = ground.events.follow(None).next;
    let mut first = None;
    loop {
        let mut db = standing.begin(&user).await?;
        let task = Task::find(&mut db, &id, ground.clock.now()).await?;
        let task = task.ok_or(Problem::NOT_FOUND)?;
        db.commit().await.map_err(Error::from)?;
        let seen = *first.get_or_insert(task.revision);
        if task.revision != seen || task.state.has_ended() || Instant::now() >= until {
            return Ok((AppendHeaders([etag(task.revision)]), Json(task)));
        }
        // Where events were missed, the task is read anew, as after one of its own.
        while let Ok(Ok(event)) = timeout_at(until, events.recv()).await {
            if event.object == id {
                break;
            }
        }
    }
}

/// Stop a task
#[utoipa::path(post, path = "/api/v1/tasks/{id}/cancel", tag = "tasks", params(("id" = String, Path)), responses(
    (status = 202, body = Task),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "It has ended"),
))]
pub(super) async fn cancel(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
) -> Result<(StatusCode, Json<Task>), Problem> {
    let user = user.may(Right::WriteTasks)?;
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let mut db = standing.begin(&user).await?;
    let task = Task::find(&mut db, &id, now).await?.ok_or(Problem::NOT_FOUND)?;
    let task = task
        .cancel(&mut db, now)
        .await
        .map_err(|error| match error.kind() {
            Fault::Taken => Problem::ENDED,
            _ => Problem::from(error),
        })?;
    let deed = Deed {
        actor: &user.name,
        tenant: None,
        action: "task.cancel",
        object: &task.id,
        outcome: "done",
    };
    audit::record(&mut db, deed, now).await?;
    let keys = standing.keys()?;
    let mut dispatch = Dispatch::new(&keys, ground.news());
    dispatch.hear(&mut db, &task).await?;
    db.commit().await.map_err(Error::from)?;
    ground.nudges.wake(&task.node);
    ground.events.tell("task", &task.id, &task, now);
    dispatch.tell(ground);
    Ok((StatusCode::ACCEPTED, Json(task)))
}

/// Tell how a task goes
#[utoipa::path(post, path = "/api/v1/tasks/{id}/progress", tag = "tasks", request_body = Progress, security(()),
    params(("id" = String, Path)), responses(
    (status = 200, body = Task),
    (status = 401, body = Document, description = "No certificate of a node was shown"),
    (status = 403, body = Document, description = "The node is suspended or revoked"),
    (status = 404, body = Document, description = "There is none, or it is another node's"),
    (status = 409, body = Document, description = "It has ended"),
    (status = 422, body = Document),
    (status = 429, body = Document, description = "The node asks too often"),
))]
pub(super) async fn progress(
    standing: Standing,
    node: FromNode,
    Id(id): Id,
    Body(told): Body<Progress>,
) -> Result<Json<Task>, Problem> {
    told.check().map_err(|reason| Problem::INVALID.about(reason))?;
    node.pays(&standing, Cost::Progress)?;
    let ground = standing.ground()?;
    let now = ground.clock.now();
    let mut db = ground.database.begin().await?;
    node.admit(&mut db, now).await?;
    let task = Task::find(&mut db, &id, now).await?;
    let task = task.filter(|task| task.node == node.id());
    let task = task.ok_or(Problem::NOT_FOUND)?;
    let task = task.progress(&mut db, told, now).await?.ok_or(Problem::ENDED)?;
    let keys = standing.keys()?;
    let mut dispatch = Dispatch::new(&keys, ground.news());
    dispatch.hear(&mut db, &task).await?;
    db.commit().await.map_err(Error::from)?;
    let data = task.without_result();
    ground.events.tell("task", &task.id, &data, now);
    dispatch.tell(ground);
    Ok(Json(task))
}
