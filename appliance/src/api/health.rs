//! `/healthz` and `/readyz`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hyper::StatusCode;
use serde::Serialize;

use crate::check::{self, Check, Outcome};
use crate::service::Context;

#[derive(Serialize)]
pub(super) struct Live {
    status: &'static str,
}

#[derive(Serialize)]
pub(super) struct Ready {
    status: &'static str,
    checks: Vec<Check>,
}

/// The service answers: that is all this says.
pub(super) async fn live() -> Json<Live> {
    Json(Live { status: "ok" })
}

/// Every check, looked at now; 503 while one fails.
pub(super) async fn ready(State(context): State<Arc<Context>>) -> (StatusCode, Json<Ready>) {
    let checks = context.view().checks;
    let (code, status) = match check::worst(&checks) {
        Outcome::Fail => (StatusCode::SERVICE_UNAVAILABLE, "not-ready"),
        Outcome::Pass | Outcome::Warn => (StatusCode::OK, "ready"),
    };
    (code, Json(Ready { status, checks }))
}
