//! `/authority`: on a server, the key by which its nodes know it, and how far the next one is.

use axum::response::Response;
use hyper::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::Form;
use super::layout::{Layout, alert, entries, moment, text};
use super::visitor::{Visitor, done, elsewhere};
use crate::access::Right;

const PATH: &str = "/api/v1/authority";
const TITLE: &str = "Authority";

/// The step that a rotation takes next: its name in the API, and what it is to people.
#[derive(Clone, Copy)]
struct Step {
    name: &'static str,
    question: &'static str,
    /// What comes of it for the nodes that it waits for.
    price: &'static str,
}

const SWITCH: Step = Step {
    name: "SWITCH",
    question: "Use the next key now?",
    price: "These nodes don't know the next key yet. They won't take this server for theirs any more, and have to be enrolled anew:",
};
const RETIRE: Step = Step {
    name: "RETIRE",
    question: "Have done with the former key now?",
    price: "These nodes have no certificate of the key in use yet. They won't be taken any more, and have to be enrolled anew:",
};

fn next_step(authority: &Value) -> Option<Step> {
    match (authority["next"].is_string(), authority["former"].is_string()) {
        (true, _) => Some(SWITCH),
        (false, true) => Some(RETIRE),
        (false, false) => None,
    }
}

/// How many nodes it waits for.
fn waiting(authority: &Value) -> usize {
    let many = authority["waiting"].as_u64().unwrap_or_default();
    usize::try_from(many).unwrap_or(usize::MAX)
}

pub(super) async fn page(visitor: Visitor) -> Result<Response, Response> {
    let authority = visitor.get(PATH).await?;
    let may = visitor.may(Right::WriteNodes);
    let step = next_step(&authority);
    let content = html! {
        p.lead { (standing(step)) }
        @if waiting(&authority) > 0 {
            section.attention {
                h2 { "It waits for " (counted(waiting(&authority))) }
                (names(&authority))
                p { "A node that is away comes by itself; one that never comes again is revoked on its page. A request waits for a decision." }
                @if may { p { a href="/authority/force" { "Don't wait" } } }
            }
        }
        (keys(&authority))
        @if may && step.is_none() { (beginning()) }
    };
    Ok(Layout::new(&visitor, TITLE).live().page(&content))
}

fn standing(step: Option<Step>) -> &'static str {
    match step.map(|step| step.name) {
        None => "One key is in use, and no other is on its way.",
        Some("SWITCH") => "Nodes are told of the next key. When all of them know it, it is used.",
        Some(_) => {
            "The next key is in use. When all nodes have certificates that it signed, what the former one signed is good no more."
        }
    }
}

fn counted(nodes: usize) -> String {
    match nodes {
        1 => "one node".to_owned(),
        many => format!("{many} nodes"),
    }
}

fn names(authority: &Value) -> Markup {
    let names = entries(&authority["waiting_for"]);
    let others = waiting(authority).saturating_sub(names.len());
    html! {
        ul {
            @for name in names { li { (text(name)) } }
            @if others > 0 { li { "and " (others) " others" } }
        }
    }
}

fn keys(authority: &Value) -> Markup {
    let keys = [("In use", "key"), ("Next", "next"), ("Former", "former")];
    html! {
        section {
            h2 { "Keys" }
            dl.facts {
                @for (name, field) in keys.into_iter().filter(|(_, field)| authority[*field].is_string()) {
                    dt { (name) } dd { code.fingerprint { (text(&authority[field])) } }
                    @if field == "key" { dt { "Made" } dd { (moment(&authority["created"])) } }
                }
            }
            p { "Nodes know this server by the key in use: the enrolment code tells them its digest." }
        }
    }
}

fn beginning() -> Markup {
    html! {
        section {
            h2 { "Put another key in its place" }
            p {
                "Nodes stay: they are told of the next key, and come for other certificates by themselves. When it is used, enrolment \
                 codes that were given out are void."
            }
            form method="post" action="/authority/rotate" {
                label.check { input type="checkbox" name="sure" value="yes" required; "I am sure" }
                button { "Make another key" }
            }
        }
    }
}

pub(super) async fn rotate(visitor: Visitor, _form: Form) -> Result<Response, Response> {
    visitor.post(&format!("{PATH}/rotate"), &json!({})).await?;
    Ok(done("/authority"))
}

pub(super) async fn confirmation(visitor: Visitor) -> Result<Response, Response> {
    let authority = visitor.get(PATH).await?;
    Ok(confirm(&visitor, &authority, None))
}

/// Names the nodes that are left behind; nothing is to be forced where nobody is waited for.
fn confirm(visitor: &Visitor, authority: &Value, refused: Option<&str>) -> Response {
    let Some(step) = next_step(authority).filter(|_| waiting(authority) > 0) else {
        return elsewhere("/authority");
    };
    let content = html! {
        @if let Some(reason) = refused { (alert(reason)) }
        section.attention {
            p { (step.price) }
            (names(authority))
        }
        @if visitor.may(Right::WriteNodes) {
            form method="post" action="/authority/force" {
                input type="hidden" name="step" value=(step.name);
                input type="hidden" name="waiting" value=(waiting(authority));
                input type="hidden" name="seen" value=(authority["waiting_for"].to_string());
                label.check { input type="checkbox" name="sure" value="yes" required; "Leave them behind" }
                button.danger { "Don't wait" }
            }
        }
        p { a href="/authority" { "Go on waiting" } }
    };
    let status = refused.map_or(StatusCode::OK, |_| StatusCode::CONFLICT);
    Layout::new(visitor, step.question).status(status).page(&content)
}

/// Whether all that are waited for stood on the page that was sent.
fn was_seen(form: &Form, authority: &Value) -> bool {
    let seen: Vec<String> = serde_json::from_str(form.exact("seen")).unwrap_or_default();
    let names = entries(&authority["waiting_for"]);
    let many: usize = form.text("waiting").parse().unwrap_or_default();
    let is_seen = |name: &Value| seen.iter().any(|seen| seen == text(name));
    waiting(authority) <= many && names.iter().all(is_seen)
}

pub(super) async fn force(visitor: Visitor, form: Form) -> Result<Response, Response> {
    let authority = visitor.get(PATH).await?;
    let is_next = next_step(&authority).is_some_and(|step| step.name == form.text("step"));
    if !is_next || !was_seen(&form, &authority) {
        let why = "It is not as it was any more. This is how it is now.";
        return Ok(confirm(&visitor, &authority, Some(why)));
    }
    if form.filled("sure").is_none() {
        return Ok(confirm(
            &visitor,
            &authority,
            Some("Nothing was done: nobody was sure."),
        ));
    }
    let wish = json!({ "force": form.text("step") });
    visitor.post(&format!("{PATH}/rotate"), &wish).await?;
    Ok(done("/authority"))
}
