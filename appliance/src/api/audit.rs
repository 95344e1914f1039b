//! `/api/v1/audit`: who did what, the newest first; and what the log is, signed.

use axum::Json;
use axum::response::{AppendHeaders, IntoResponse};

use super::request::{LoggedIn, Page, Standing};
use crate::access::Right;
use crate::audit::{self, Checkpoint, Entry};
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

/// Sign what the audit log is now
///
/// Kept elsewhere, it shows later that nothing before it was changed.
#[utoipa::path(get, path = "/api/v1/audit/checkpoint", tag = "audit", responses(
    (status = 200, body = Checkpoint),
    (status = 401, body = Document),
    (status = 403, body = Document),
))]
pub(super) async fn checkpoint(standing: Standing, user: LoggedIn) -> Result<Json<Checkpoint>, Problem> {
    let user = user.may(Right::ReadAudit)?;
    // How many entries there are is told to nobody who doesn't see them.
    if !user.sees(None) {
        return Err(Problem::FORBIDDEN.about("This is for the provider's users."));
    }
    let ground = standing.ground()?;
    let mut db = ground.database.begin().await?;
    let checkpoint = Checkpoint::of(&mut db, standing.0.identity(), ground.clock.now()).await?;
    Ok(Json(checkpoint))
}
