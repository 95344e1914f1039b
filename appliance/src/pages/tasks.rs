//! `/tasks`, `/tasks/{id}`.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::form::Form;
use super::layout::{Layout, badge, entries, moment, text};
use super::nodes::is_id;
use super::visitor::{Visitor, done};
use crate::access::Right;

pub(super) async fn list(visitor: Visitor) -> Result<Response, Response> {
    let tasks = visitor.get("/api/v1/tasks?limit=100").await?;
    let content = html! {
        (table(&tasks))
        @if entries(&tasks).is_empty() { p { "Nothing was ordered yet. Tasks are ordered on a node's page." } }
    };
    Ok(Layout::new(&visitor, "Tasks").live().page(&content))
}

/// Tasks, one a row.
pub(super) fn table(tasks: &Value) -> Markup {
    html! {
        table {
            thead { tr { th { "Task" } th { "State" } th { "Progress" } th { "Ordered" } th { "By" } } }
            tbody {
                @for task in entries(tasks) {
                    tr {
                        td { a href={ "/tasks/" (text(&task["id"])) } { (text(&task["kind"])) } }
                        td { (badge(text(&task["state"]))) }
                        td { (progress(task)) }
                        td { (moment(&task["created"])) }
                        td { (text(&task["actor"])) }
                    }
                }
            }
        }
    }
}

fn progress(task: &Value) -> Markup {
    let (done, total) = (
        task["done"].as_i64().unwrap_or(0),
        task["total"].as_i64().unwrap_or(0),
    );
    html! {
        @if total > 0 {
            progress value=(done) max=(total) { (done) " of " (total) }
            " " (done) " of " (total)
        } @else if task["state"] == "RUNNING" {
            progress {}
        }
    }
}

pub(super) async fn page(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Response> {
    let id = if is_id(&id) { id.as_str() } else { "none" };
    let task = visitor.get(&format!("/api/v1/tasks/{id}")).await?;
    let has_ended = task["ended"].is_string();
    let result = serde_json::to_string_pretty(&task["result"]).unwrap_or_default();
    let content = html! {
        p.lead { (badge(text(&task["state"]))) " " (progress(&task)) }
        @if let Some(left) = task["remaining"].as_u64() { p { "About " (left.div_ceil(1000)) " s left" } }
        @if !text(&task["message"]).is_empty() { p class=[(task["state"] == "FAILED").then_some("alert")] { (text(&task["message"])) } }
        dl.facts {
            dt { "Node" } dd { a href={ "/nodes/" (text(&task["node"])) } { code { (text(&task["node"])) } } }
            dt { "Ordered" } dd { (moment(&task["created"])) " by " (text(&task["actor"])) }
            dt { "Begun" } dd { (moment(&task["started"])) }
            dt { "Ended" } dd { (moment(&task["ended"])) }
        }
        @if !has_ended && visitor.may(Right::WriteTasks) {
            form method="post" action={ "/tasks/" (id) "/cancel" } {
                @if task["cancel"] == true { p { "It is being stopped." } } @else { button.danger { "Stop it" } }
            }
        }
        @if !task["result"].is_null() {
            section { h2 { "Result" } pre { (result) } }
        }
    };
    let title = format!("Task {}", text(&task["kind"]));
    let layout = Layout::new(&visitor, &title);
    Ok(if has_ended { layout } else { layout.live() }.page(&content))
}

pub(super) async fn cancel(
    visitor: Visitor,
    Path(id): Path<String>,
    _form: Form,
) -> Result<Response, Response> {
    let id = if is_id(&id) { id.as_str() } else { "none" };
    visitor
        .post(&format!("/api/v1/tasks/{id}/cancel"), &json!({}))
        .await?;
    Ok(done(&format!("/tasks/{id}")))
}
