//! `/login`, `/logout`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use hyper::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::json;

use super::Pages;
use super::form::Form;
use super::layout::{Layout, alert};
use super::visitor::{Visitor, Whence, done, elsewhere, forget, keep, reason};
use crate::local::Question;

/// Where somebody goes on; only to a page of ours.
fn place(next: &str) -> &str {
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && next
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte));
    if is_ours { next } else { "/" }
}

pub(super) async fn page(
    State(pages): State<Arc<Pages>>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    if pages.context.setup_code().is_some() {
        return elsewhere("/setup");
    }
    let next = asked.get("next").map_or("/", String::as_str);
    Layout::open(&pages, "Log in").page(&form(place(next), "", &html! {}))
}

fn form(next: &str, name: &str, alert: &Markup) -> Markup {
    html! {
        (alert)
        form.narrow method="post" {
            input type="hidden" name="next" value=(next);
            label { "Name" input name="name" value=(name) autocomplete="username" required autofocus; }
            label { "Password" input name="password" type="password" autocomplete="current-password" required; }
            button.main { "Log in" }
        }
        p { a href="/reset" { "Forgotten?" } " The console's menu gives a code." }
    }
}

pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    Whence(peer): Whence,
    form: Form,
) -> Result<Response, Response> {
    let next = place(form.text("next"));
    match log_in(&pages, peer, form.text("name"), form.exact("password")).await? {
        Ok(token) => Ok((AppendHeaders([keep(&pages, &token)]), done(next)).into_response()),
        Err((status, why)) => {
            let content = self::form(next, form.text("name"), &alert(&why));
            Ok(Layout::open(&pages, "Log in").status(status).page(&content))
        }
    }
}

/// A session's token; or why there is none.
pub(super) async fn log_in(
    pages: &Pages,
    peer: Option<crate::http::peer::Peer>,
    name: &str,
    password: &str,
) -> Result<Result<String, (StatusCode, String)>, Response> {
    let body = json!({ "name": name, "password": password });
    let question = Question {
        method: Method::POST,
        path: "/api/v1/session",
        body: Some(&body),
        peer,
        ..Question::default()
    };
    let answer = pages.ask(question).await?;
    Ok(match answer.body["token"].as_str() {
        Some(token) if answer.status.is_success() => Ok(token.to_owned()),
        _ => Err((answer.status, reason(&answer))),
    })
}

pub(super) async fn leave(State(pages): State<Arc<Pages>>, visitor: Visitor) -> Result<Response, Response> {
    let question = Question {
        method: Method::DELETE,
        path: "/api/v1/session",
        ..Question::default()
    };
    visitor.ask(question).await?;
    Ok((AppendHeaders([forget(&pages)]), done("/login")).into_response())
}
