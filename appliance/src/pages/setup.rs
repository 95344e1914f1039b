//! `/setup`: the wizard.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use hyper::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::Pages;
use super::form::Form;
use super::layout::{Layout, alert};
use super::login::log_in;
use super::visitor::{Whence, done, elsewhere, keep, reason};
use crate::local::Question;
use crate::role::Role;

pub(super) async fn page(State(pages): State<Arc<Pages>>) -> Response {
    match pages.context.setup_code() {
        Some(_) => show(&pages, None, StatusCode::OK, &html! {}),
        None => elsewhere("/"),
    }
}

fn show(pages: &Pages, sent: Option<&Form>, status: StatusCode, alert: &Markup) -> Response {
    let sent = |name: &str| sent.map_or("", |form| form.text(name)).to_owned();
    let host = pages.context.machine().hostname.to_string();
    let content = html! {
        p {
            "This connector has no administrator yet. Compare the certificate's fingerprint at the foot of this page with what \
             the console shows, and what your browser says about the connection, before you type anything."
        }
        (alert)
        form.steps method="post" autocomplete="off" {
            fieldset {
                legend { "Set-up code" }
                label {
                    "Code"
                    input name="code" value=(sent("code")) placeholder="0000-0000-0000" spellcheck="false" required autofocus;
                    small { "It stands on the machine's console; outside an appliance, in the service's log." }
                }
            }
            fieldset {
                legend { "First administrator" }
                label { "Name" input name="name" value=(sent("name")) autocomplete="username" required; }
                label {
                    "Password"
                    input name="password" type="password" minlength="10" autocomplete="new-password" required;
                    small { "10 characters at least." }
                }
                label { "The same again" input name="again" type="password" autocomplete="new-password" required; }
            }
            fieldset {
                legend { "Time" }
                label {
                    "NTP servers"
                    input name="ntp" value=(sent("ntp")) placeholder="ntp1.example ntp2.example";
                    small { "Names or addresses, with spaces between them. Without any, those of the appliance's properties or of DHCP." }
                }
            }
            @if pages.context.role() != Role::Server {
                fieldset {
                    legend { "Server" }
                    p { "Leave these empty to enrol the node later." }
                    label { "Name or address" input name="server" value=(sent("server")) placeholder="server.example:443"; }
                    label {
                        "Enrolment code"
                        input name="enrolment" value=(sent("enrolment")) placeholder="vcc1-..." spellcheck="false";
                        small { "The server's administrator makes one for each node." }
                    }
                    label { "Cloud" input name="cloud" value=(sent("cloud")) placeholder="north"; }
                    label { "The node's name" input name="node" value=(sent("node")) placeholder=(host); }
                }
            }
            button.main { "Set up" }
        }
    };
    Layout::open(pages, "Set up").status(status).page(&content)
}

/// What the API is asked for, or what is wrong with the form.
fn wish(form: &Form, role: Role) -> Result<Value, &'static str> {
    if form.exact("password") != form.exact("again") {
        return Err("The two passwords differ.");
    }
    let administrator = json!({ "name": form.text("name"), "password": form.exact("password") });
    let mut wish = json!({ "code": form.text("code"), "administrator": administrator });
    if let Some(servers) = form.filled("ntp") {
        let servers: Vec<_> = servers
            .split([' ', ',', '\n', '\r', '\t'])
            .filter(|server| !server.is_empty())
            .collect();
        wish["settings"] = json!({ "ntp": servers });
    }
    let asked = ["server", "enrolment", "cloud"].map(|name| form.filled(name));
    match asked {
        [None, None, None] => {}
        [Some(server), Some(code), Some(cloud)] if role != Role::Server => {
            wish["enrolment"] = json!({ "server": server, "code": code, "cloud": cloud });
            if let Some(name) = form.filled("node") {
                wish["enrolment"]["name"] = json!(name);
            }
        }
        _ => {
            return Err(
                "A server takes its name or address, an enrolment code and the cloud's name together.",
            );
        }
    }
    Ok(wish)
}

pub(super) async fn send(
    State(pages): State<Arc<Pages>>,
    Whence(peer): Whence,
    form: Form,
) -> Result<Response, Response> {
    let wish = match wish(&form, pages.context.role()) {
        Ok(wish) => wish,
        Err(why) => {
            return Ok(show(
                &pages,
                Some(&form),
                StatusCode::UNPROCESSABLE_ENTITY,
                &alert(why),
            ));
        }
    };
    let question = Question {
        method: Method::POST,
        path: "/api/v1/setup",
        body: Some(&wish),
        peer: peer.clone(),
        ..Question::default()
    };
    let answer = pages.ask(question).await?;
    if answer.status == StatusCode::GONE {
        return Ok(elsewhere("/login"));
    }
    if !answer.status.is_success() {
        return Ok(show(&pages, Some(&form), answer.status, &alert(&reason(&answer))));
    }
    let session = log_in(&pages, peer, form.text("name"), form.exact("password")).await?;
    Ok(match session {
        Ok(token) => (AppendHeaders([keep(&pages, &token)]), done("/")).into_response(),
        Err(_) => done("/login"),
    })
}
