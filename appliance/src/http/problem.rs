//! Errors as problem documents (RFC 9457), each with a `code` that never changes once released.

use axum::Json;
use axum::body::Body;
use axum::response::IntoResponse as _;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// One sort of problem.
#[derive(Debug, Clone, Copy)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: &'static str,
}

#[derive(Serialize)]
struct Document {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'static str,
    code: &'static str,
}

impl Problem {
    /// The connector was not set up yet.
    pub const SETUP_REQUIRED: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "setup-required",
        title: "The connector is not set up yet",
        detail: "Only /healthz, /readyz, /metrics and /api/v1/about answer before the connector is set up.",
    };
    /// The resource is there and does not know the method.
    pub const METHOD_NOT_ALLOWED: Self = Self {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "method-not-allowed",
        title: "The resource does not know this method",
        detail: "The Allow header field lists the methods that it knows.",
    };
    /// The request's body is above the server's ceiling.
    pub const TOO_LARGE: Self = Self {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        code: "too-large",
        title: "The request's body is too large",
        detail: "Bodies of requests are at most 65536 bytes long.",
    };
    /// The request took too long.
    pub const TIMEOUT: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "timeout",
        title: "The request took too long",
        detail: "The connector is overloaded; try again later.",
    };

    /// The problem as a response.
    pub fn response(self) -> Response<Body> {
        let document = Document {
            r#type: format!("urn:vcc:problem:{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code,
        };
        let mut response = (self.status, Json(document)).into_response();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
