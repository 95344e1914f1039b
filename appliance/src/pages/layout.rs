//! What all pages look like.

use axum::response::{Html, IntoResponse as _, Response};
use hyper::StatusCode;
use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

use super::Pages;
use super::visitor::Visitor;
use crate::access::Right;
use crate::role::Role;

/// A page that is put together.
pub(super) struct Layout<'a> {
    pub(super) pages: &'a Pages,
    pub(super) visitor: Option<&'a Visitor>,
    pub(super) title: &'a str,
    /// Whether it changes by itself while somebody looks.
    pub(super) is_live: bool,
    pub(super) status: StatusCode,
}

impl<'a> Layout<'a> {
    /// Of somebody who is logged in.
    pub(super) fn new(visitor: &'a Visitor, title: &'a str) -> Self {
        Self {
            pages: visitor.pages(),
            visitor: Some(visitor),
            title,
            is_live: false,
            status: StatusCode::OK,
        }
    }

    /// Of anybody.
    pub(super) fn open(pages: &'a Pages, title: &'a str) -> Self {
        Self {
            pages,
            visitor: None,
            title,
            is_live: false,
            status: StatusCode::OK,
        }
    }

    pub(super) fn live(self) -> Self {
        Self {
            is_live: true,
            ..self
        }
    }

    pub(super) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn page(self, content: &Markup) -> Response {
        let context = &self.pages.context;
        let machine = context.machine();
        let host = machine.hostname.to_string();
        let role = context.role();
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) " · " (host) }
                    link rel="stylesheet" href="/style.css";
                    link rel="icon" type="image/svg+xml" href="/icon.svg";
                    script src="/script.js" defer {}
                }
                body {
                    header {
                        a.home href="/" { strong { (host) } " " span.role { (role.as_str()) } }
                        @if let Some(visitor) = self.visitor {
                            nav aria-label="Pages" { (navigation(visitor, self.title)) }
                            form.leave method="post" action="/logout" {
                                span { (visitor.name) }
                                button { "Log out" }
                            }
                        }
                    }
                    @if let Some(notice) = context.notice() { p.notice role="status" { (notice) } }
                    main data-live[self.is_live] {
                        h1 { (self.title) }
                        (content)
                    }
                    footer {
                        (machine.product.product) " " (machine.product.version)
                        " · certificate SHA-256 " code { (context.identity().fingerprint()) }
                    }
                }
            }
        };
        (self.status, Html(page.into_string())).into_response()
    }
}

fn navigation(visitor: &Visitor, title: &str) -> Markup {
    let is_server = visitor.role() == Role::Server;
    let places = [
        ("/", "Overview", true),
        ("/nodes", "Nodes", is_server && visitor.may(Right::ReadNodes)),
        ("/tasks", "Tasks", is_server && visitor.may(Right::ReadTasks)),
        (
            "/transfers",
            "Transfers",
            is_server && visitor.may(Right::ReadTransfers),
        ),
        (
            "/enrolment",
            "Server",
            !is_server && visitor.may(Right::ReadNodes),
        ),
        (
            "/catalogs",
            "Catalogs",
            !is_server && visitor.may(Right::ReadCatalogs),
        ),
        ("/trust", "Trust", !is_server && visitor.may(Right::ReadTrust)),
        (
            "/configuration",
            "Configuration",
            visitor.may(Right::ReadConfiguration),
        ),
        (
            "/authority",
            "Authority",
            is_server && visitor.may(Right::ReadNodes),
        ),
        ("/audit", "Audit", visitor.may(Right::ReadAudit)),
    ];
    html! {
        @for (path, name, _) in places.into_iter().filter(|(_, _, shown)| *shown) {
            a href=(path) aria-current=[(name == title).then_some("page")] { (name) }
        }
    }
}

/// A page that tells why something was not done.
pub(super) fn refusal(
    pages: &Pages,
    visitor: Option<&Visitor>,
    status: StatusCode,
    reason: &str,
) -> Response {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        _ if status.is_server_error() => "Something failed",
        _ => "Refused",
    };
    let content = html! {
        (alert(reason))
        p { a href="/" { "Back to the overview" } }
    };
    let layout = match visitor {
        Some(visitor) => Layout::new(visitor, title),
        None => Layout::open(pages, title),
    };
    layout.status(status).page(&content)
}

/// Why something was not done.
pub(super) fn alert(reason: &str) -> Markup {
    html! { p.alert role="alert" { (reason) } }
}

/// A word that says how something is, in its colour.
pub(super) fn badge(word: &str) -> Markup {
    let colour = match word {
        "LIVE" | "ACTIVE" | "IN_SYNC" | "DONE" | "PUBLISHED" | "pass" | "done" => "good",
        "STALE" | "PENDING" | "QUEUED" | "RUNNING" | "DRIFTED" | "RECEIVING" | "VERIFYING" | "tolerated"
        | "warn" | "SCHEDULED" | "REQUESTED" | "OFFERED" | "GRANTED" | "VERIFIED" | "IMPORTED" => "wait",
        _ => "bad",
    };
    let text = word.replace('_', " ");
    html! { span class={ "badge " (colour) } { (text) } }
}

/// A moment of the API's.
pub(super) fn moment(value: &Value) -> Markup {
    let Some(text) = value.as_str() else {
        return html! { "–" };
    };
    let readable = text.split_once('T').map(|(date, time)| {
        let time = time.get(..8).unwrap_or(time);
        format!("{date} {time} UTC")
    });
    html! { time datetime=(text) { (readable.as_deref().unwrap_or(text)) } }
}

/// A text of the API's.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The entries of a list of the API's.
pub(super) fn entries(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
