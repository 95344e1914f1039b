//! `/support-bundle`: what somebody who helps has to know.

use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use maud::html;

use super::layout::{Layout, refusal};
use super::visitor::Visitor;
use crate::local::Question;

pub(super) async fn page(visitor: Visitor) -> Result<Response, Response> {
    if !visitor.is_provider_admin() {
        let reason = "This is for an administrator of the provider.";
        let pages = visitor.pages();
        return Err(refusal(pages, Some(&visitor), StatusCode::FORBIDDEN, reason));
    }
    let content = html! {
        p {
            "One file for whoever helps when something is wrong: the checks, the network, the settings, the newest entries of the \
             audit log, and the ends of the logs."
        }
        p { "Keys, passwords and tokens are not in it. Names and addresses are: give it only to whom they may be known." }
        p { a.button href="/support-bundle/file" download { "Download it" } }
        p { "It is made at that moment, and the audit log tells who fetched it. " code { "vcc support-bundle" } " does the same." }
    };
    Ok(Layout::new(&visitor, "Support bundle").page(&content))
}

pub(super) async fn file(visitor: Visitor) -> Result<Response, Response> {
    let question = Question {
        path: "/api/v1/support-bundle",
        ..Question::default()
    };
    let mut answer = visitor.ask(question).await?;
    let mut response = answer.bytes.clone().into_response();
    for name in [CONTENT_TYPE, CONTENT_DISPOSITION] {
        if let Some(value) = answer.fields.remove(&name) {
            response.headers_mut().insert(name, value);
        }
    }
    visitor.pages().good(Some(&visitor), answer).map(|_| response)
}
