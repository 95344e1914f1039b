//! `/nodes/{id}`: a node: approval, configuration, tasks.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::Form;
use super::layout::{Layout, badge, entries, moment, text};
use super::nodes::is_id;
use super::tasks;
use super::visitor::{Visitor, done};
use crate::access::Right;

/// A node's id in a path; whatever else stands there is no node's.
fn checked(id: &str) -> &str {
    if is_id(id) { id } else { "none" }
}

pub(super) async fn page(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Response> {
    let id = checked(&id);
    let node = visitor.get(&format!("/api/v1/nodes/{id}")).await?;
    let is_active = node["state"] == "ACTIVE";
    let status = visitor.find(&format!("/api/v1/nodes/{id}/configuration")).await?;
    let tasks = visitor
        .find(&format!("/api/v1/nodes/{id}/tasks?limit=20"))
        .await?;
    let may = visitor.may(Right::WriteNodes);
    let content = html! {
        p.lead {
            (badge(text(&node["state"]))) " "
            @if is_active { (badge(text(&node["status"]))) }
        }
        @if let Some(reason) = node["reason"].as_str() { p.alert { (reason) } }
        @if node["state"] == "PENDING" && may { (approval(id, &node)) }
        (facts(&node))
        @if let Some(status) = status.filter(|_| is_active) { (configuration(&visitor, id, &status)) }
        @if let Some(tasks) = tasks.filter(|_| is_active) { (work(&visitor, id, &tasks)) }
        @if node["state"] != "REVOKED" && may { (revocation(id)) }
    };
    let title = text(&node["name"]).to_owned();
    Ok(Layout::new(&visitor, &title).live().page(&content))
}

fn approval(id: &str, node: &Value) -> Markup {
    let fingerprint = text(&node["fingerprint"]);
    html! {
        section.attention {
            h2 { "Take it in?" }
            p { "Compare this fingerprint with the one that the node shows, on its page “Server”. If they differ, somebody else is asking." }
            p { code.fingerprint { (fingerprint) } }
            form method="post" action={ "/nodes/" (id) "/approve" } {
                input type="hidden" name="fingerprint" value=(fingerprint);
                label.check { input type="checkbox" name="compared" value="yes" required; "I have compared them, and they are the same" }
                button.main { "Approve" }
            }
        }
    }
}

fn facts(node: &Value) -> Markup {
    html! {
        dl.facts {
            dt { "Cloud" } dd { (text(&node["cloud"])) }
            dt { "Last heard of" } dd { (moment(&node["seen"])) }
            dt { "Version" } dd { (text(&node["version"])) }
            dt { "Asked" } dd { (moment(&node["requested"])) }
            dt { "Certificate ends" } dd { (moment(&node["expires"])) }
            dt { "Key" } dd { code.fingerprint { (text(&node["fingerprint"])) } }
            dt { "Id" } dd { code { (text(&node["id"])) } }
        }
    }
}

fn configuration(visitor: &Visitor, id: &str, status: &Value) -> Markup {
    html! {
        section {
            h2 { "Configuration" }
            p { (badge(text(&status["state"]))) }
            @if let Some(reason) = status["reason"].as_str() { p.alert { (reason) } }
            @if !entries(&status["differences"]).is_empty() {
                table {
                    thead { tr { th { "Setting" } th { "Wanted" } th { "On the node" } } }
                    tbody {
                        @for difference in entries(&status["differences"]) {
                            tr {
                                td { (text(&difference["setting"])) }
                                td { (value(&difference["desired"])) }
                                td { (value(&difference["reported"])) }
                            }
                        }
                    }
                }
            }
            @if visitor.may(Right::WriteConfiguration) {
                form method="post" action={ "/nodes/" (id) "/apply" } { button { "Apply anew" } }
            }
            p { a href={ "/configuration?scope=node:" (id) } { "What is wanted of this node alone" } }
        }
    }
}

/// A setting's value.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(entries) => entries.iter().map(self::value).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn work(visitor: &Visitor, id: &str, tasks: &Value) -> Markup {
    html! {
        section {
            h2 { "Tasks" }
            @if !entries(tasks).is_empty() { (tasks::table(tasks)) }
            @if visitor.may(Right::WriteTasks) {
                form method="post" action={ "/nodes/" (id) "/order" } {
                    label {
                        "Order"
                        select name="kind" {
                            option value="diagnose" { "Diagnose: look at everything" }
                            option value="verify-audit" { "Verify the node's audit log" }
                        }
                    }
                    button { "Order" }
                }
            }
        }
    }
}

fn revocation(id: &str) -> Markup {
    html! {
        section {
            h2 { "Send it away" }
            p { "The node is refused from then on, for good. To come back it has to be enrolled anew." }
            form method="post" action={ "/nodes/" (id) "/revoke" } {
                label.check { input type="checkbox" name="sure" value="yes" required; "I am sure" }
                button.danger { "Revoke" }
            }
        }
    }
}

pub(super) async fn approve(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Response> {
    let id = checked(&id);
    let approval = json!({ "fingerprint": form.text("fingerprint") });
    visitor
        .post(&format!("/api/v1/nodes/{id}/approve"), &approval)
        .await?;
    Ok(done(&format!("/nodes/{id}")))
}

pub(super) async fn revoke(
    visitor: Visitor,
    Path(id): Path<String>,
    _form: Form,
) -> Result<Response, Response> {
    let id = checked(&id);
    visitor
        .post(&format!("/api/v1/nodes/{id}/revoke"), &json!({}))
        .await?;
    Ok(done(&format!("/nodes/{id}")))
}

pub(super) async fn apply(
    visitor: Visitor,
    Path(id): Path<String>,
    _form: Form,
) -> Result<Response, Response> {
    let id = checked(&id);
    let path = format!("/api/v1/nodes/{id}/configuration/apply");
    visitor.post(&path, &json!({})).await?;
    Ok(done(&format!("/nodes/{id}")))
}

pub(super) async fn order(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Response> {
    let path = format!("/api/v1/nodes/{}/tasks", checked(&id));
    let task = visitor.post(&path, &json!({ "kind": form.text("kind") })).await?;
    Ok(done(&format!("/tasks/{}", text(&task["id"]))))
}
