//! `/api/v1/support-bundle`: what somebody who helps has to know, in one file and without secrets.

use axum::response::{IntoResponse as _, Redirect, Response};
use hyper::HeaderMap;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Serialize;

use super::about::About;
use super::request::{LoggedIn, Standing};
use crate::access::{Right, Role};
use crate::audit::{self, Deed};
use crate::configuration::Own;
use crate::error::{Error, Kind};
use crate::http::problem::{Document, Problem};
use crate::support::Bundle;

/// Entries of the audit log, the newest.
const ENTRIES: u32 = 500;

/// The page for people.
const PAGE: &str = "/support-bundle";

/// Whether it is a person with a browser, who read this address on the console.
fn is_person(fields: &HeaderMap) -> bool {
    let accepted = fields.get(ACCEPT).and_then(|value| value.to_str().ok());
    !fields.contains_key(AUTHORIZATION) && accepted.is_some_and(|kinds| kinds.contains("text/html"))
}

/// Fetch a support bundle (tar, gzip), made at this moment
#[utoipa::path(get, path = "/api/v1/support-bundle", tag = "support", responses(
    (status = 200, content_type = "application/gzip", body = Vec<u8>),
    (status = 303, description = "A browser without a token: to the page"),
    (status = 401, body = Document),
    (status = 403, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    fields: HeaderMap,
    user: Result<LoggedIn, Problem>,
) -> Result<Response, Problem> {
    if is_person(&fields) {
        return Ok(Redirect::to(PAGE).into_response());
    }
    let user = user?.may(Right::ReadAudit)?;
    if user.role != Role::ProviderAdmin || !user.may(Right::ReadConfiguration) {
        return Err(Problem::FORBIDDEN.about("This is for an administrator of the provider."));
    }
    let ground = standing.ground()?;
    let mut db = standing.begin(&user).await?;
    let deed = Deed {
        actor: &user.name,
        tenant: None,
        action: "support-bundle.read",
        object: "support-bundle",
        outcome: "done",
    };
    audit::record(&mut db, deed, ground.clock.now()).await?;
    let entries = audit::list(&mut db, &user, i64::MAX, ENTRIES).await?;
    let own = Own::read(&mut db).await?;
    db.commit().await.map_err(Error::from)?;

    let context = &standing.0;
    let view = context.view();
    let mut bundle = Bundle::new(ground.clock.now());
    bundle.add("about.json", &json(&About::of(context))?)?;
    bundle.add("checks.json", &json(&view.checks)?)?;
    bundle.add("machine.json", &json(&view.machine)?)?;
    bundle.add("configuration.json", &json(&own.settings)?)?;
    bundle.add("audit.json", &json(&entries)?)?;
    if let Some(root) = context.state_directory() {
        bundle.add_state(root)?;
    }
    let fields = [
        (CONTENT_TYPE, "application/gzip"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"support-bundle.tar.gz\"",
        ),
    ];
    Ok((fields, bundle.finish()?).into_response())
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec_pretty(value)
        .map_err(|e| Error::new(Kind::Malformed, "support bundle", "cannot be written as JSON").because(e))
}
