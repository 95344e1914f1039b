//! `/`: how everything is.

use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::layout::{Layout, badge, entries, moment, text};
use super::tasks;
use super::visitor::Visitor;
use crate::access::Right;
use crate::check::{Check, Outcome};
use crate::local::Question;
use crate::role::Role;

pub(super) async fn page(visitor: Visitor) -> Result<Response, Response> {
    let about = visitor.get("/api/v1/about").await?;
    // It answers 503 where a check fails.
    let question = Question {
        path: "/readyz",
        ..Question::default()
    };
    let ready = visitor.ask(question).await?.body;
    let content = html! {
        @match visitor.role() {
            Role::Server => (server(&visitor).await?),
            Role::Node | Role::Sp => (node(&visitor).await?),
        }
        (checks(&ready))
        (facts(&visitor, &about))
    };
    Ok(Layout::new(&visitor, "Overview").live().page(&content))
}

async fn server(visitor: &Visitor) -> Result<Markup, Response> {
    if !visitor.may(Right::ReadNodes) {
        return Ok(html! {});
    }
    let nodes = visitor.get("/api/v1/nodes?limit=500").await?;
    let nodes = entries(&nodes);
    let waiting: Vec<_> = nodes.iter().filter(|node| node["state"] == "PENDING").collect();
    let count = |status: &str| {
        let is_active = |node: &&Value| node["state"] == "ACTIVE" && node["status"] == status;
        nodes.iter().filter(is_active).count()
    };
    let suspended = nodes.iter().filter(|node| node["state"] == "SUSPENDED").count();
    let tasks = visitor.find("/api/v1/tasks?limit=5").await?.unwrap_or_default();
    Ok(html! {
        @if !waiting.is_empty() {
            section.attention {
                h2 { "Nodes that wait for your decision" }
                ul {
                    @for node in waiting {
                        li {
                            a href={ "/nodes/" (text(&node["id"])) } { (text(&node["name"])) }
                            " in " (text(&node["cloud"])) ", since " (moment(&node["requested"]))
                        }
                    }
                }
            }
        }
        section {
            h2 { "Nodes" }
            dl.counts {
                @for status in ["LIVE", "STALE", "UNREACHABLE"] {
                    div { dt { (badge(status)) } dd { (count(status)) } }
                }
                @if suspended > 0 { div { dt { (badge("SUSPENDED")) } dd { (suspended) } } }
            }
            @if nodes.len() >= 500 { p { "Counted among the first 500." } }
            p { a href="/nodes" { "All nodes" } }
        }
        @if !entries(&tasks).is_empty() {
            section {
                h2 { "Latest tasks" }
                (tasks::table(&tasks))
            }
        }
    })
}

async fn node(visitor: &Visitor) -> Result<Markup, Response> {
    let enrolment = visitor.find("/api/v1/enrolment").await?;
    Ok(html! {
        section {
            h2 { "Server" }
            @match enrolment {
                Some(enrolment) => {
                    p {
                        (badge(text(&enrolment["state"]))) " at " (text(&enrolment["server"]))
                        ", last spoken with " (moment(&enrolment["spoken"]))
                    }
                    @if let Some(trouble) = enrolment["trouble"].as_str() { p.alert { (trouble) } }
                    p { a href="/enrolment" { "More" } }
                }
                None => p { "None yet. " a href="/enrolment" { "Enrol this node" } },
            }
        }
    })
}

fn checks(ready: &Value) -> Markup {
    let checks: Vec<Check> = serde_json::from_value(ready["checks"].clone()).unwrap_or_default();
    html! {
        section {
            h2 { "Checks" }
            table {
                thead { tr { th { "Check" } th { "" } th { "Says" } } }
                tbody {
                    @for check in &checks {
                        tr {
                            td { (check.name) }
                            td { (badge(check.status.as_str())) }
                            td {
                                (check.reason)
                                @if check.status != Outcome::Pass && !check.remedy.is_empty() {
                                    br; strong { (check.remedy) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn facts(visitor: &Visitor, about: &Value) -> Markup {
    let facts = [
        ("Instance", text(&about["instance_id"]).to_owned()),
        ("Program", text(&about["program_version"]).to_owned()),
        ("Starts of the machine", about["boots"].to_string()),
        ("Up for", format!("{} s", about["uptime_seconds"])),
    ];
    html! {
        section {
            h2 { "This connector" }
            dl.facts { @for (name, value) in facts { dt { (name) } dd { (value) } } }
            @if visitor.is_provider_admin() { p { a href="/support-bundle" { "Support bundle" } } }
        }
    }
}
