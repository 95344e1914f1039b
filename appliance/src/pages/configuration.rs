//! `/configuration`: on a server what is wanted of nodes, on a node its own settings.

use std::collections::{BTreeSet, HashMap};

use axum::extract::Query;
use axum::response::Response;
use hyper::header::IF_MATCH;
use hyper::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::form::Form;
use super::layout::{Layout, alert, entries, moment, refusal, text};
use super::node::value;
use super::visitor::{Visitor, done, reason};
use crate::access::Right;
use crate::configuration::Scope;
use crate::local::Question;
use crate::role::Role;

/// Where the settings stand in the API.
fn place(visitor: &Visitor, scope: &str) -> String {
    match visitor.role() {
        Role::Server => format!("/api/v1/configurations/{scope}"),
        Role::Node | Role::Sp => "/api/v1/configuration".to_owned(),
    }
}

/// What may be in a name or an id goes into a path as it is. What is no scope is none: it never becomes another one.
#[expect(clippy::result_large_err, reason = "it is made once a request, and sent")]
fn checked<'a>(visitor: &Visitor, scope: Option<&'a str>) -> Result<&'a str, Response> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte);
    let scope = scope.unwrap_or("all");
    match scope.len() <= 300 && scope.bytes().all(fine) && Scope::parse(scope).is_some() {
        true => Ok(scope),
        false => {
            let reason = "There are no settings of that name: scopes are all, cloud:NAME and node:ID.";
            Err(refusal(
                visitor.pages(),
                Some(visitor),
                StatusCode::NOT_FOUND,
                reason,
            ))
        }
    }
}

pub(super) async fn page(
    visitor: Visitor,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Response, Response> {
    let scope = checked(&visitor, asked.get("scope").map(String::as_str))?;
    let wanted = visitor.get(&place(&visitor, scope)).await?;
    show(&visitor, scope, &wanted, None, StatusCode::OK).await
}

async fn show(
    visitor: &Visitor,
    scope: &str,
    wanted: &Value,
    refused: Option<&str>,
    status: StatusCode,
) -> Result<Response, Response> {
    let is_server = visitor.role() == Role::Server;
    let (scopes, history) = match is_server {
        true => (scopes(visitor, scope).await?, history(visitor, scope).await?),
        false => (html! {}, html! {}),
    };
    let version = match is_server {
        true => &wanted["version"],
        false => &wanted["revision"],
    };
    let content = html! {
        (scopes)
        @if let Some(reason) = refused { (alert(reason)) }
        @if let Some(reason) = wanted["refused"].as_str() { (alert(&format!("The server's last configuration was refused: {reason}"))) }
        @if !is_server && wanted["push"].is_string() {
            p { "These settings are the server's. What you change here is shown there as drift, until its administrator applies them anew." }
        }
        (fields(visitor, scope, version, &wanted["settings"]))
        (history)
    };
    Ok(Layout::new(visitor, "Configuration")
        .status(status)
        .page(&content))
}

async fn scopes(visitor: &Visitor, scope: &str) -> Result<Markup, Response> {
    let clouds = visitor
        .find("/api/v1/clouds?limit=500")
        .await?
        .unwrap_or_default();
    let clouds = entries(&clouds)
        .iter()
        .map(|cloud| format!("cloud:{}", text(&cloud["name"])));
    // What is wanted of a cloud may be said before its first node comes.
    let wanted = visitor.get("/api/v1/configurations?limit=500").await?;
    let wanted = entries(&wanted)
        .iter()
        .map(|wanted| text(&wanted["scope"]).to_owned())
        .filter(|scope| scope.starts_with("cloud:"));
    let clouds: BTreeSet<String> = clouds.chain(wanted).collect();
    let mut all: Vec<String> = [String::from("all")].into_iter().chain(clouds).collect();
    if !all.iter().any(|known| known == scope) {
        all.push(scope.to_owned());
    }
    Ok(html! {
        p { "What is wanted of all nodes, of a cloud's, or of one node. The narrower wins, setting by setting." }
        nav.scopes aria-label="Scopes" {
            @for known in &all {
                a href={ "/configuration?scope=" (known) } aria-current=[(known == scope).then_some("page")] {
                    (if known == "all" { "all nodes" } else { known.as_str() })
                }
            }
        }
    })
}

fn fields(visitor: &Visitor, scope: &str, version: &Value, settings: &Value) -> Markup {
    let servers: Vec<_> = entries(&settings["ntp"]).iter().map(text).collect();
    let asks_none = settings["ntp"].as_array().is_some_and(Vec::is_empty);
    html! {
        form.narrow method="post" action="/configuration" {
            input type="hidden" name="scope" value=(scope);
            input type="hidden" name="version" value=(version);
            // What this page doesn't know stays as it is.
            input type="hidden" name="settings" value=(settings.to_string());
            label {
                "Notice"
                input name="notice" value=(text(&settings["notice"])) maxlength="500";
                small { "A line for whoever comes by: on the console and on every page. Empty: none is wanted." }
            }
            label {
                "NTP servers"
                textarea name="ntp" rows="3" spellcheck="false" { (servers.join("\n")) }
                small { "Names or addresses, one a line. Empty: as the machine has it." }
            }
            label.check { input type="checkbox" name="asks-none" value="yes" checked[asks_none]; "Ask no time server at all" }
            label {
                "Syslog server"
                input name="syslog" value=(text(&settings["syslog"])) maxlength="300" spellcheck="false";
                small { "udp://HOST[:PORT] or tcp://HOST[:PORT]. Empty: as the machine has it." }
            }
            @if visitor.may(Right::WriteConfiguration) { button.main { "Save" } }
        }
    }
}

async fn history(visitor: &Visitor, scope: &str) -> Result<Markup, Response> {
    let path = format!("/api/v1/configurations/{scope}/versions?limit=20");
    let versions = visitor.get(&path).await?;
    let versions = entries(&versions);
    Ok(html! {
        @if !versions.is_empty() {
            section {
                h2 { "Versions" }
                table {
                    thead { tr { th { "Version" } th { "When" } th { "Who" } th { "Settings" } } }
                    tbody {
                        @for version in versions {
                            tr {
                                td { (version["version"]) }
                                td { (moment(&version["at"])) }
                                td {
                                    (text(&version["actor"])) ", " (text(&version["kind"]))
                                    @if let Some(rule) = version["rule"].as_str() { " " (rule) }
                                }
                                td {
                                    @for (name, setting) in version["settings"].as_object().into_iter().flatten() {
                                        div { (name) ": " (value(setting)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// The settings that a form wants.
fn settings(form: &Form) -> Value {
    let mut settings = serde_json::from_str::<Map<String, Value>>(form.exact("settings")).unwrap_or_default();
    settings.remove("notice");
    settings.remove("ntp");
    if let Some(server) = form.filled("syslog") {
        settings.insert("syslog".to_owned(), json!(server));
    } else if settings.get("syslog") != Some(&json!("")) {
        // A form has no way to say that none is wanted, and leaves it where that was said.
        settings.remove("syslog");
    }
    if let Some(notice) = form.filled("notice") {
        settings.insert("notice".to_owned(), json!(notice));
    }
    let servers: Vec<_> = form.text("ntp").split_whitespace().collect();
    if !servers.is_empty() || form.filled("asks-none").is_some() {
        settings.insert("ntp".to_owned(), json!(servers));
    }
    Value::Object(settings)
}

pub(super) async fn send(visitor: Visitor, form: Form) -> Result<Response, Response> {
    let scope = checked(&visitor, form.filled("scope"))?;
    let (path, settings) = (place(&visitor, scope), settings(&form));
    let body = match visitor.role() {
        Role::Server => json!({ "settings": settings }),
        Role::Node | Role::Sp => settings.clone(),
    };
    let question = Question {
        method: Method::PUT,
        path: &path,
        body: Some(&body),
        fields: vec![(IF_MATCH, format!("\"{}\"", form.text("version")))],
        ..Question::default()
    };
    let answer = visitor.ask(question).await?;
    if answer.status.is_success() {
        return Ok(done(&format!("/configuration?scope={scope}")));
    }
    let why = match answer.status {
        StatusCode::PRECONDITION_FAILED => {
            "Somebody else has changed it meanwhile. It is shown as it is now: change it again.".to_owned()
        }
        _ => reason(&answer),
    };
    let mut known = visitor.get(&path).await?;
    if answer.status != StatusCode::PRECONDITION_FAILED {
        known["settings"] = settings;
    }
    show(&visitor, scope, &known, Some(&why), answer.status).await
}
