//! `/api/v1/audit`: who did what, the newest first.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse};

use super::request::{LoggedIn, Page, Standing};
use crate::access::Right;
use crate::audit::{self, Entry};
use crate::http::problem::{Document, Problem};

/// Read the audit log
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Page), responses(
    (status = 200, body = [Entry]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    page: Page,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadAudit)?;
    let before = page.number()?.unwrap_or(i64::MAX);
    let mut db = standing.ground()?.database.begin().await?;
    let entries = audit::list(&mut db, &user, before, page.limit()).await?;
    let last = entries.last().map(|entry| entry.number.to_string());
    let link = page.link("/api/v1/audit", entries.len(), last.as_deref());
    Ok((AppendHeaders(link), Json(entries)))
}
