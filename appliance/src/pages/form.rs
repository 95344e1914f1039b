//! What a form says.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Form as Sent;
use axum::extract::{FromRequest, Request};
use axum::response::Response;
use hyper::StatusCode;

use super::visitor::is_ours;
use super::{Pages, layout};

/// The fields of a form that one of our own pages sent.
#[derive(Default)]
pub(super) struct Form(BTreeMap<String, String>);

impl FromRequest<Arc<Pages>> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, pages: &Arc<Pages>) -> Result<Self, Response> {
        if !is_ours(request.headers()) {
            let reason = "This form was not sent from a page of this connector.";
            return Err(layout::refusal(pages, None, StatusCode::FORBIDDEN, reason));
        }
        match Sent::<Vec<(String, String)>>::from_request(request, pages).await {
            Ok(Sent(fields)) => Ok(Self(fields.into_iter().collect())),
            Err(error) => Err(layout::refusal(pages, None, error.status(), &error.body_text())),
        }
    }
}

impl Form {
    /// A field, without the space around it; empty where it was not sent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.exact(name).trim()
    }

    /// A field as it was sent.
    pub(super) fn exact(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A field, if something was written into it.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }
}
