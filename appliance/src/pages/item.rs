//! `/items/{id}`: an item's versions, what was found about each, and their files.

use axum::extract::Path;
use axum::response::Response;
use hyper::header::{HeaderMap, IF_MATCH};
use hyper::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::Value;

use super::catalogs::labels;
use super::form::Form;
use super::layout::{Layout, badge, entries, moment, refusal, text};
use super::nodes::is_id;
use super::visitor::{Visitor, done};
use crate::access::Right;
use crate::http::percent::encoded;
use crate::local::Question;

/// The most versions that a page shows.
const MOST: usize = 20;

/// An id in a path; whatever else stands there is nothing's.
fn checked(id: &str) -> &str {
    if is_id(id) { id } else { "none" }
}

pub(super) async fn page(visitor: Visitor, Path(id): Path<String>) -> Result<Response, Response> {
    let id = checked(&id);
    let item = visitor.get(&format!("/api/v1/items/{id}")).await?;
    let listed = visitor
        .get(&format!("/api/v1/items/{id}/versions?limit={MOST}"))
        .await?;
    let mut versions = Vec::new();
    for version in entries(&listed) {
        let path = format!("/api/v1/versions/{}", checked(text(&version["id"])));
        // One that went meanwhile is not shown.
        versions.extend(visitor.find(&path).await?);
    }
    let is_moving = |version: &Value| matches!(text(&version["state"]), "RECEIVING" | "VERIFYING");
    let is_live = versions.iter().any(is_moving);
    let content = html! {
        @if !text(&item["description"]).is_empty() { p.lead { (text(&item["description"])) } }
        dl.facts {
            dt { "Kind" } dd { (text(&item["kind"])) }
            dt { "Current version" } dd { (item["version"].as_str().unwrap_or("none yet")) }
            dt { "Labels" } dd { (labels(&item)) }
            dt { "Id" } dd { code { (text(&item["id"])) } }
        }
        @for version in &versions { (section(&visitor, version)) }
        @if versions.is_empty() { p { "There is no version. " code { "vcc push" } " brings one." } }
        @if versions.len() >= MOST { p { "The newest " (MOST) " are shown; " code { "vcc catalog versions" } " lists all." } }
        p { a href="/catalogs" { "All catalogs" } }
    };
    let layout = Layout::new(&visitor, text(&item["name"]));
    Ok(if is_live { layout.live() } else { layout }.page(&content))
}

fn section(visitor: &Visitor, version: &Value) -> Markup {
    let signer = version["verdict"]["signer"]["subject"].as_str();
    html! {
        section {
            h2 { (text(&version["version"])) " " (badge(text(&version["state"]))) }
            p {
                "Brought by " (text(&version["author"])) ", " (moment(&version["created"]))
                @if let Some(signer) = signer { "; signed by " strong { (signer) } }
            }
            (findings(version))
            (files(version))
            @if visitor.may(Right::WriteCatalogs) && version["state"] != "VERIFYING" { (removal(version)) }
        }
    }
}

/// The checks that failed, or that a tolerance let pass.
fn findings(version: &Value) -> Markup {
    let checks = entries(&version["verdict"]["checks"]);
    let told = |check: &&Value| check["outcome"] == "failed" || check["outcome"] == "tolerated";
    let told: Vec<_> = checks.iter().filter(told).collect();
    html! {
        @if !told.is_empty() {
            table {
                thead { tr { th { "Rule" } th { "" } th { "File" } th { "Reason" } } }
                tbody {
                    @for check in told {
                        tr {
                            td { code { (text(&check["code"])) } }
                            td { (badge(text(&check["outcome"]))) }
                            td { (text(&check["member"])) }
                            td { (text(&check["reason"])) }
                        }
                    }
                }
            }
        }
    }
}

fn files(version: &Value) -> Markup {
    let id = text(&version["id"]);
    let is_published = version["state"] == "PUBLISHED";
    html! {
        table {
            thead { tr { th { "File" } th { "Bytes" } th { "SHA-256" } } }
            tbody {
                @for file in entries(&version["files"]) {
                    @let name = text(&file["name"]);
                    tr {
                        td {
                            @if is_published { a href={ "/versions/" (id) "/files/" (encoded(name)) } download { (name) } }
                            @else { (name) }
                        }
                        td { (file["bytes"].as_u64().unwrap_or_default()) }
                        td { code { (file["digest"].as_str().unwrap_or("–")) } }
                    }
                }
            }
        }
    }
}

fn removal(version: &Value) -> Markup {
    html! {
        details {
            summary { "Remove this version" }
            form method="post" action={ "/versions/" (text(&version["id"])) "/remove" } {
                input type="hidden" name="item" value=(text(&version["item"]));
                input type="hidden" name="revision" value=(version["revision"].as_u64().unwrap_or_default());
                label.check { input type="checkbox" name="sure" value="yes" required; "I am sure: its files go, too" }
                button.danger { "Remove" }
            }
        }
    }
}

pub(super) async fn remove(
    visitor: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, Response> {
    if form.text("sure") != "yes" {
        let reason = "Nothing was removed: say that you are sure.";
        let pages = visitor.pages();
        return Err(refusal(
            pages,
            Some(&visitor),
            StatusCode::UNPROCESSABLE_ENTITY,
            reason,
        ));
    }
    let path = format!("/api/v1/versions/{}", checked(&id));
    let question = Question {
        method: Method::DELETE,
        path: &path,
        fields: vec![(IF_MATCH, format!("\"{}\"", form.text("revision")))],
        ..Question::default()
    };
    let answer = visitor.ask(question).await?;
    visitor.pages().good(Some(&visitor), answer)?;
    Ok(done(&format!("/items/{}", checked(form.text("item")))))
}

/// A file of a published version, as the API gives it.
pub(super) async fn file(
    visitor: Visitor,
    Path((id, name)): Path<(String, String)>,
    method: Method,
    fields: HeaderMap,
) -> Result<Response, Response> {
    let path = format!("/api/v1/versions/{}/files/{}", checked(&id), encoded(&name));
    visitor.file(&path, method, &fields).await
}
