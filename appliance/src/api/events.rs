//! `/api/v1/events`: what changes, as server-sent events.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::request::{LoggedIn, Standing};
use crate::access::{Principal, Right, Token};
use crate::event::{Event, Following};
use crate::http::problem::{Document, Problem};
use crate::service::Context;

const LAST: HeaderName = HeaderName::from_static("last-event-id");
/// Without events, a comment keeps the connection, and the session is looked at.
const QUIET: Duration = Duration::from_secs(15);
/// Events that wait for a slow reader.
const AHEAD: usize = 16;

/// Follow what changes
///
/// The data of each event is JSON. An event `gap` says that some were missed: read the resources anew.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(("Last-Event-ID" = Option<u64>, Header, description = "The last event that was seen")), responses(
    (status = 200, body = Event, content_type = "text/event-stream"),
    (status = 401, body = Document),
))]
pub(super) async fn follow(
    standing: Standing,
    LoggedIn(user): LoggedIn,
    fields: HeaderMap,
) -> Result<Response, Problem> {
    let last = fields
        .get(LAST)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let following = standing.ground()?.events.follow(last);
    let (sender, body) = Channel::<Bytes>::new(AHEAD);
    tokio::spawn(send(Arc::clone(&standing.0), user, following, sender));
    let kind = [(CONTENT_TYPE, "text/event-stream")];
    Ok((kind, Body::new(body)).into_response())
}

/// Sends until the reader goes, the session ends or the service stops.
async fn send(context: Arc<Context>, user: Principal, following: Following, mut sender: Sender<Bytes>) {
    let Following { gap, past, mut next } = following;
    let mut text = String::from(": events\n\n");
    if gap {
        text.push_str("event: gap\ndata: {}\n\n");
    }
    for event in past.iter().filter(|event| sees(&user, event)) {
        text.push_str(&told(event));
    }
    loop {
        if !text.is_empty()
            && sender
                .send_data(Bytes::from(std::mem::take(&mut text)))
                .await
                .is_err()
        {
            return;
        }
        text = match timeout(QUIET, next.recv()).await {
            Ok(Ok(event)) if sees(&user, &event) => told(&event),
            Ok(Ok(_)) => String::new(),
            Ok(Err(RecvError::Lagged(_))) => "event: gap\ndata: {}\n\n".to_owned(),
            Ok(Err(RecvError::Closed)) => return,
            Err(_) => ":\n\n".to_owned(),
        };
        if !text.is_empty() && !may_go_on(&context, &user).await {
            return;
        }
    }
}

async fn may_go_on(context: &Context, user: &Principal) -> bool {
    let Some(ground) = context.ground() else {
        return false;
    };
    let good = async {
        let mut db = ground.database.begin().await?;
        // Listening is no use: a session that nobody uses ends while it listens.
        Token::is_alive(&mut db, user, ground.clock.now()).await
    };
    good.await.unwrap_or(false)
}

fn sees(user: &Principal, event: &Event) -> bool {
    let right = match event.kind {
        "node" => Right::ReadNodes,
        "task" => Right::ReadTasks,
        "transfer" | "subscription" => Right::ReadTransfers,
        _ => Right::ReadConfiguration,
    };
    user.may(right) && user.sees(event.tenant.as_deref())
}

fn told(event: &Event) -> String {
    // JSON has no line breaks of its own.
    let data = serde_json::to_string(event).unwrap_or_default();
    format!("id: {}\nevent: {}\ndata: {data}\n\n", event.number, event.kind)
}
