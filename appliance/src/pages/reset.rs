//! `/reset`: a new password for an administrator, by a code of the console.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use hyper::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::json;

use super::Pages;
use super::form::Form;
use super::layout::{Layout, alert};
use super::login::log_in;
use super::visitor::{Whence, done, elsewhere, keep, reason};
use crate::local::Question;

const TITLE: &str = "Another password";

pub(super) async fn page(State(pages): State<Arc<Pages>>) -> Response {
    match pages.context.setup_code() {
        Some(_) => elsewhere("/setup"),
        None => show(&pages, None, StatusCode::OK, &html! {}),
    }
}

fn show(pages: &Pages, sent: Option<&Form>, status: StatusCode, alert: &Markup) -> Response {
    let content = html! {
        p {
            "Another administrator can give you one: " code { "vcc user set NAME --password" } "."
        }
        @if pages.context.is_appliance() {
            p {
                "Without one, the menu on the machine's console (Enter opens it) gives a code, which is good once, for an hour. Compare the \
                 certificate's fingerprint at the foot of this page with what the console shows before you type anything."
            }
            (alert)
            (form(sent))
        } @else {
            (alert)
            p { "A code is given by the console of an appliance, and this connector runs in none." }
        }
        p { a href="/login" { "Back to the login" } }
    };
    Layout::open(pages, TITLE).status(status).page(&content)
}

fn form(sent: Option<&Form>) -> Markup {
    let sent = |name: &str| sent.map_or("", |form| form.text(name)).to_owned();
    html! {
        form.narrow method="post" autocomplete="off" {
            label {
                "Code"
                input name="code" value=(sent("code")) placeholder="0000-0000-0000" spellcheck="false" required autofocus;
            }
            label {
                "Name"
                input name="name" value=(sent("name")) autocomplete="username" required;
                small { "An administrator of the provider. One who is not there is made." }
            }
            label {
                "New password"
                input name="password" type="password" minlength="10" autocomplete="new-password" required;
                small { "10 characters at least. The administrator's sessions end; tokens for programs stay." }
            }
            label { "The same again" input name="again" type="password" autocomplete="new-password" required; }
            button.main { "Set the password" }
        }
    }
}

pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    Whence(peer): Whence,
    form: Form,
) -> Result<Response, Response> {
    let (name, password) = (form.text("name"), form.exact("password"));
    if password != form.exact("again") {
        let why = alert("The two passwords differ.");
        return Ok(show(&pages, Some(&form), StatusCode::UNPROCESSABLE_ENTITY, &why));
    }
    let administrator = json!({ "name": name, "password": password });
    let wish = json!({ "code": form.text("code"), "administrator": administrator });
    let question = Question {
        method: Method::POST,
        path: "/api/v1/administrator-reset",
        body: Some(&wish),
        peer: peer.clone(),
        ..Question::default()
    };
    let answer = pages.ask(question).await?;
    if !answer.status.is_success() {
        return Ok(show(&pages, Some(&form), answer.status, &alert(&reason(&answer))));
    }
    let session = log_in(&pages, peer, name, password).await?;
    Ok(match session {
        Ok(token) => (AppendHeaders([keep(&pages, &token)]), done("/")).into_response(),
        Err(_) => done("/login"),
    })
}
