//! The HTTP resources of a connector that is not set up yet.
//!
//! | resource | answer |
//! |---|---|
//! | `/healthz` | 200 while the service answers at all |
//! | `/readyz` | every check with its reason; 503 if one failed |
//! | `/metrics` | Prometheus text |
//! | `/api/v1/about` | who this connector is |
//! | anything else | 503 `setup-required` |

mod about;
mod health;
mod metrics;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::get;
use hyper::Response;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};

use crate::http::problem::Problem;
use crate::service::Context;

const HEALTH: &str = "/healthz";
const READY: &str = "/readyz";
const METRICS: &str = "/metrics";
const ABOUT: &str = "/api/v1/about";
/// The label of every request to nowhere.
const OTHER: &str = "other";

/// No answer of an API is a page, and none may be kept, framed or guessed at.
const FIELDS: [(HeaderName, &str); 5] = [
    (CACHE_CONTROL, "no-store"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

/// All resources.
pub fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route(HEALTH, get(health::live))
        .route(READY, get(health::ready))
        .route(METRICS, get(metrics::scrape))
        .route(ABOUT, get(about::about))
        .fallback(|| async { Problem::SETUP_REQUIRED.response() })
        .method_not_allowed_fallback(|| async { Problem::METHOD_NOT_ALLOWED.response() })
        .layer(from_fn_with_state(Arc::clone(&context), finish))
        .with_state(context)
}

/// Counts every answer and adds the header fields that all have.
async fn finish(State(context): State<Arc<Context>>, request: Request, next: Next) -> Response<Body> {
    let route = label(request.uri().path());
    let mut response = next.run(request).await;
    context.requests().count(route, response.status().as_u16());
    for (name, value) in FIELDS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn label(path: &str) -> &'static str {
    [HEALTH, READY, METRICS, ABOUT]
        .into_iter()
        .find(|&route| route == path)
        .unwrap_or(OTHER)
}
