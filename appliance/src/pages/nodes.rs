//! `/nodes`: the nodes of a server.

use std::collections::HashMap;

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::json;

use super::form::Form;
use super::layout::{Layout, badge, entries, moment, text};
use super::visitor::Visitor;
use crate::access::Right;

const PAGE: usize = 100;

pub(super) async fn page(
    visitor: Visitor,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Response, Response> {
    let after = asked.get("after").filter(|after| is_id(after));
    let path = match after {
        Some(after) => format!("/api/v1/nodes?limit={PAGE}&cursor={after}"),
        None => format!("/api/v1/nodes?limit={PAGE}"),
    };
    let nodes = visitor.get(&path).await?;
    let nodes = entries(&nodes);
    let last = nodes.last().filter(|_| nodes.len() == PAGE);
    let content = html! {
        table {
            thead { tr { th { "Name" } th { "Cloud" } th { "State" } th { "Status" } th { "Last heard of" } th { "Version" } } }
            tbody {
                @for node in nodes {
                    tr {
                        td { a href={ "/nodes/" (text(&node["id"])) } { (text(&node["name"])) } }
                        td { (text(&node["cloud"])) }
                        td { (badge(text(&node["state"]))) }
                        td { @if node["state"] == "ACTIVE" { (badge(text(&node["status"]))) } }
                        td { (moment(&node["seen"])) }
                        td { (text(&node["version"])) }
                    }
                }
            }
        }
        @if nodes.is_empty() { p { "No node has asked yet." } }
        @if let Some(last) = last { p { a href={ "/nodes?after=" (text(&last["id"])) } { "More" } } }
        @if visitor.may(Right::WriteNodes) { (codes()) }
    };
    Ok(Layout::new(&visitor, "Nodes").live().page(&content))
}

pub(super) fn is_id(text: &str) -> bool {
    text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn codes() -> Markup {
    html! {
        section {
            h2 { "Take a node in" }
            p { "A code is good for one node and one hour. The node carries it with it to know this server." }
            form method="post" action="/nodes/code" { button { "Make an enrolment code" } }
        }
    }
}

pub(super) async fn make_code(visitor: Visitor, _form: Form) -> Result<Response, Response> {
    let made = visitor
        .post("/api/v1/enrolment-codes", &json!({ "minutes": 60 }))
        .await?;
    let content = html! {
        p { "Give this to the node, on its page “Server” or in its set-up. It is shown once, and good until " (moment(&made["expires"])) "." }
        p { code.secret { (text(&made["code"])) } }
        p { "The node then waits among the " a href="/nodes" { "nodes" } " for you to compare its fingerprint and approve it." }
    };
    Ok(Layout::new(&visitor, "Enrolment code").page(&content))
}
