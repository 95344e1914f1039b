//! `/enrolment`: a node's server.

use axum::response::Response;
use hyper::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::Form;
use super::layout::{Layout, alert, badge, moment, text};
use super::visitor::{Visitor, done, reason};
use crate::access::Right;
use crate::local::Question;

pub(super) async fn page(visitor: Visitor) -> Result<Response, Response> {
    let enrolment = visitor.find("/api/v1/enrolment").await?;
    let may = visitor.may(Right::WriteNodes);
    let content = html! {
        @if let Some(enrolment) = &enrolment { (standing(enrolment)) }
        @if may && enrolment.as_ref().is_none_or(|known| known["state"] != "ACTIVE") {
            (wish(None, &html! {}))
        }
        @if may && enrolment.is_some() { (leaving()) }
    };
    Ok(Layout::new(&visitor, "Server").live().page(&content))
}

fn standing(enrolment: &Value) -> Markup {
    html! {
        p.lead { (badge(text(&enrolment["state"]))) " at " (text(&enrolment["server"])) }
        @if let Some(trouble) = enrolment["trouble"].as_str() { (alert(trouble)) }
        @if enrolment["state"] == "PENDING" {
            section.attention {
                h2 { "The server's administrator has to approve this node" }
                p { "There, this fingerprint must be shown, too:" }
                p { code.fingerprint { (text(&enrolment["fingerprint"])) } }
            }
        }
        dl.facts {
            dt { "Last spoken with" } dd { (moment(&enrolment["spoken"])) }
            dt { "This node's id there" } dd { code { (text(&enrolment["node"])) } }
            dt { "Key" } dd { code.fingerprint { (text(&enrolment["fingerprint"])) } }
            dt { "Certificate ends" } dd { (moment(&enrolment["expires"])) }
        }
    }
}

fn wish(sent: Option<&Form>, alert: &Markup) -> Markup {
    let sent = |name: &str| sent.map_or("", |form| form.text(name)).to_owned();
    html! {
        section {
            h2 { "Enrol this node" }
            (alert)
            form.narrow method="post" action="/enrolment" autocomplete="off" {
                label { "Server" input name="server" value=(sent("server")) placeholder="server.example:443" required; }
                label { "Enrolment code" input name="code" value=(sent("code")) placeholder="vcc1-..." spellcheck="false" required; }
                label { "Cloud" input name="cloud" value=(sent("cloud")) placeholder="north" required; }
                label { "This node's name" input name="name" value=(sent("name")); small { "The machine's, if it is left empty." } }
                button.main { "Enrol" }
            }
        }
    }
}

fn leaving() -> Markup {
    html! {
        section {
            h2 { "Leave the server" }
            p { "The node forgets it. The server isn't asked: its administrator has to revoke the node there." }
            form method="post" action="/enrolment/leave" {
                label.check { input type="checkbox" name="sure" value="yes" required; "I am sure" }
                button.danger { "Leave" }
            }
        }
    }
}

pub(super) async fn send(visitor: Visitor, form: Form) -> Result<Response, Response> {
    let mut body =
        json!({ "server": form.text("server"), "code": form.text("code"), "cloud": form.text("cloud") });
    if let Some(name) = form.filled("name") {
        body["name"] = json!(name);
    }
    let question = Question {
        method: Method::POST,
        path: "/api/v1/enrolment",
        body: Some(&body),
        ..Question::default()
    };
    let answer = visitor.ask(question).await?;
    if answer.status == StatusCode::ACCEPTED {
        return Ok(done("/enrolment"));
    }
    let content = wish(Some(&form), &alert(&reason(&answer)));
    Ok(Layout::new(&visitor, "Server")
        .status(answer.status)
        .page(&content))
}

pub(super) async fn leave(visitor: Visitor, _form: Form) -> Result<Response, Response> {
    let question = Question {
        method: Method::DELETE,
        path: "/api/v1/enrolment",
        ..Question::default()
    };
    let answer = visitor.ask(question).await?;
    visitor.pages().good(Some(&visitor), answer)?;
    Ok(done("/enrolment"))
}
