//! `/api/v1/transfers`: on a server, what moves from node to node.

use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::{Json, RequestPartsExt as _};
use hyper::StatusCode;
use hyper::header::{LOCATION, RETRY_AFTER};
use serde::Deserialize;
use sqlx::{Row as _, Sqlite, Transaction};
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;

use super::once::Wish;
use super::request::{Body, Id, LoggedIn, Page, Standing, Wait, etag};
use crate::access::{Name, Principal, Right};
use crate::error::{Error, Kind as Fault};
use crate::http::percent::encoded;
use crate::http::problem::{Document, Problem};
use crate::tenant::Tenant;
use crate::transfer::{Dispatch, NewTransfer, Ordered, Row, Search, Signed, State, Transfer};

/// What is looked for, and which part of what is found.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// In this state.
    state: Option<State>,
    /// From or to this node, by its id or name.
    node: Option<String>,
    /// Of this tenant, by its id.
    tenant: Option<String>,
    /// Of this subscription.
    subscription: Option<String>,
    /// Entries at most, 1 to 500.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Where the last page ended, from its Link header field.
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let wanted = parts.extract::<Query<Self>>().await;
        let Query(wanted) = wanted.map_err(|error| Problem::INVALID.about(error.body_text()))?;
        Ok(wanted)
    }
}

impl Wanted {
    /// The list without its part.
    fn path(&self) -> String {
        let fields = [
            ("state", self.state.map(|state| state.as_str().to_owned())),
            ("node", self.node.clone()),
            ("tenant", self.tenant.clone()),
            ("subscription", self.subscription.clone()),
        ];
        let mut path = String::from("/api/v1/transfers");
        for (name, value) in fields {
            if let Some(value) = value {
                let mark = if path.contains('?') { '&' } else { '?' };
                path.push_str(&format!("{mark}{name}={}", encoded(&value)));
            }
        }
        path
    }
}

/// Order a transfer, or ask what one would move
#[utoipa::path(post, path = "/api/v1/transfers", tag = "transfers", request_body = NewTransfer,
    params(("Idempotency-Key" = Option<String>, Header, max_length = 64, pattern = "^[!-~]+$")), responses(
    (status = 202, body = Transfer),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 409, body = Document),
    (status = 422, body = Document),
    (status = 429, body = Document, description = "Too many have not ended"),
    (status = 503, body = Document, description = "The server's clock cannot be right"),
))]
pub(super) async fn create(standing: Standing, wish: Wish<NewTransfer>) -> Result<Response, Problem> {
    let (user, new, once) = (wish.user.may(Right::WriteTransfers)?, wish.body, wish.once);
    let (ground, keys) = (standing.ground()?, standing.keys()?);
    // A grant has an end.
    let now = standing.plausible_time()?;
    let mut db = standing.begin(&user).await?;
    if let Some(answer) = once.answered(&mut db, &user, now).await? {
        return Ok(answer);
    }
    let own = own_name(&mut db, &user).await?;
    let starts = new.starts;
    let wish = new.check(&mut db, own.as_ref(), now).await.map_err(told)?;
    let named = [&wish.source, &wish.destination].map(|end| end.place.tenant.as_ref());
    let tenant = whose(&mut db, &user, named).await?;
    let mut dispatch = Dispatch::new(&keys, ground.news());
    let ordered = Ordered {
        actor: &user.name,
        tenant: tenant.as_deref(),
        starts,
        subscription: None,
    };
    let row = dispatch.order(&mut db, wish, ordered).await.map_err(told)?;
    let transfer = row.told(now);
    once.keep(&mut db, &user, now, StatusCode::ACCEPTED, &transfer)
        .await?;
    db.commit().await.map_err(Error::from)?;
    dispatch.tell(ground);
    let place = [
        (LOCATION, format!("/api/v1/transfers/{}", transfer.id)),
        etag(transfer.revision),
    ];
    Ok((StatusCode::ACCEPTED, AppendHeaders(place), Json(transfer)).into_response())
}

/// List transfers, the newest first, without what destinations signed
#[utoipa::path(get, path = "/api/v1/transfers", tag = "transfers", params(Wanted), responses(
    (status = 200, body = [Transfer]),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn list(
    standing: Standing,
    user: LoggedIn,
    wanted: Wanted,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadTransfers)?;
    let ground = standing.ground()?;
    let path = wanted.path();
    let page = Page::of(wanted.limit, wanted.cursor)?;
    let search = Search {
        state: wanted.state,
        node: wanted.node,
        tenant: wanted.tenant,
        subscription: wanted.subscription,
    };
    let before = page.before()?;
    let mut db = ground.database.begin().await?;
    let rows = Row::list(&mut db, &user, &search, before, page.limit()).await?;
    let now = ground.clock.now();
    let transfers: Vec<_> = rows.iter().map(|row| row.told(now).without_signature()).collect();
    let last = transfers
        .last()
        .map(|last| format!("{}_{}", last.created.0, last.id));
    let link = page.link(&path, transfers.len(), last.as_deref());
    Ok((AppendHeaders(link), Json(transfers)))
}

/// Read a transfer, and where `wait` says so, wait for its next change
#[utoipa::path(get, path = "/api/v1/transfers/{id}", tag = "transfers", params(("id" = String, Path), Wait), responses(
    (status = 200, body = Transfer),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 422, body = Document),
))]
pub(super) async fn read(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    wait: Wait,
) -> Result<impl IntoResponse, Problem> {
    let user = user.may(Right::ReadTransfers)?;
    let ground = standing.ground()?;
    let until = Instant::now() + Duration::from_secs(u64::from(wait.seconds()));
    let mut events = ground.events.follow(None).next;
    let mut first = None;
    loop {
        let mut db = standing.begin(&user).await?;
        let row = found(&mut db, &user, &id).await?;
        db.commit().await.map_err(Error::from)?;
        let seen = *first.get_or_insert(row.revision());
        if row.revision() != seen || row.has_ended() || Instant::now() >= until {
            let transfer = row.told(ground.clock.now());
            return Ok((AppendHeaders([etag(transfer.revision)]), Json(transfer)));
        }
        // Where events were missed, it is read anew, as after one of its own.
        while let Ok(Ok(event)) = timeout_at(until, events.recv()).await {
            if event.object == id {
                break;
            }
        }
    }
}

/// Stop a transfer
///
/// What its destination has in hand goes on until that has stopped; it may be done before.
#[utoipa::path(post, path = "/api/v1/transfers/{id}/cancel", tag = "transfers", params(("id" = String, Path)), responses(
    (status = 202, body = Transfer),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "It has ended"),
))]
pub(super) async fn cancel(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
) -> Result<(StatusCode, Json<Transfer>), Problem> {
    let user = user.may(Right::WriteTransfers)?;
    let (ground, keys) = (standing.ground()?, standing.keys()?);
    let mut db = standing.begin(&user).await?;
    let row = found(&mut db, &user, &id).await?;
    let mut dispatch = Dispatch::new(&keys, ground.news());
    let row = dispatch.cancel(&mut db, row, &user.name).await.map_err(told)?;
    db.commit().await.map_err(Error::from)?;
    dispatch.tell(ground);
    Ok((StatusCode::ACCEPTED, Json(row.told(ground.clock.now()))))
}

/// Begin a transfer again that has ended without success
///
/// It has another grant; the destination goes on from what it has. One that was published and not removed at its source is removed
/// there.
#[utoipa::path(post, path = "/api/v1/transfers/{id}/retry", tag = "transfers", params(("id" = String, Path)), responses(
    (status = 202, body = Transfer),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "It goes on, or nothing is left to do"),
    (status = 503, body = Document, description = "The server's clock cannot be right"),
))]
pub(super) async fn retry(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
) -> Result<(StatusCode, Json<Transfer>), Problem> {
    let user = user.may(Right::WriteTransfers)?;
    let (ground, keys) = (standing.ground()?, standing.keys()?);
    let now = standing.plausible_time()?;
    let mut db = standing.begin(&user).await?;
    let row = found(&mut db, &user, &id).await?;
    let mut dispatch = Dispatch::new(&keys, ground.news());
    let row = dispatch
        .retry(&mut db, row, &user.name)
        .await
        .map_err(|error| match error.kind() {
            Fault::Taken => {
                Problem::CONFLICT.about(format!("Nothing is to be tried again: {}.", error.reason()))
            }
            _ => told(error),
        })?;
    db.commit().await.map_err(Error::from)?;
    dispatch.tell(ground);
    Ok((StatusCode::ACCEPTED, Json(row.told(now))))
}

/// Read the grant of a transfer that people carry
///
/// It names the version by its digest, and lets nobody have it but by the hands of somebody who may.
#[utoipa::path(get, path = "/api/v1/transfers/{id}/grant", tag = "transfers", params(("id" = String, Path)), responses(
    (status = 200, body = Signed),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "It isn't carried, isn't granted yet, or has ended"),
))]
pub(super) async fn grant(standing: Standing, user: LoggedIn, Id(id): Id) -> Result<Json<Signed>, Problem> {
    let user = user.may(Right::WriteTransfers)?;
    let mut db = standing.begin(&user).await?;
    let row = found(&mut db, &user, &id).await?;
    let grant = row.carried_grant().map_err(uncarried)?;
    Ok(Json(grant.clone()))
}

/// Bring the receipt of a transfer that people carry
///
/// The same one again changes nothing.
#[utoipa::path(post, path = "/api/v1/transfers/{id}/receipt", tag = "transfers", request_body = Signed,
    params(("id" = String, Path)), responses(
    (status = 200, body = Transfer),
    (status = 401, body = Document),
    (status = 403, body = Document),
    (status = 404, body = Document),
    (status = 409, body = Document, description = "It isn't carried, or has ended otherwise"),
    (status = 422, body = Document, description = "The receipt is not the destination's for this transfer"),
))]
pub(super) async fn receipt(
    standing: Standing,
    user: LoggedIn,
    Id(id): Id,
    Body(signed): Body<Signed>,
) -> Result<Json<Transfer>, Problem> {
    let user = user.may(Right::WriteTransfers)?;
    let (ground, keys) = (standing.ground()?, standing.keys()?);
    let mut db = standing.begin(&user).await?;
    let row = found(&mut db, &user, &id).await?;
    let mut dispatch = Dispatch::new(&keys, ground.news());
    let row = dispatch
        .bring_receipt(&mut db, row, signed)
        .await
        .map_err(uncarried)?;
    db.commit().await.map_err(Error::from)?;
    dispatch.tell(ground);
    Ok(Json(row.told(ground.clock.now())))
}

fn uncarried(error: Error) -> Problem {
    match error.kind() {
        Fault::Taken => Problem::NOT_EXPECTED.about(format!("{}.", error.reason())),
        Fault::Mismatch | Fault::Malformed => Problem::INVALID.about(format!("{error}.")),
        _ => error.into(),
    }
}

async fn found(db: &mut Transaction<'_, Sqlite>, user: &Principal, id: &str) -> Result<Row, Problem> {
    Row::find(db, user, id).await?.ok_or(Problem::NOT_FOUND)
}

/// The name of the tenant whose user somebody is.
pub(super) async fn own_name(
    db: &mut Transaction<'_, Sqlite>,
    user: &Principal,
) -> Result<Option<Name>, Problem> {
    let Some(own) = &user.tenant else { return Ok(None) };
    let tenant = Tenant::find(db, user, own).await?.ok_or(Problem::NOT_FOUND)?;
    let name = Name::try_from(tenant.name);
    name.map(Some).map_err(|_| Problem::INTERNAL)
}

/// The tenant whose something is that has both ends in its name; what has not is the provider's.
pub(super) async fn whose(
    db: &mut Transaction<'_, Sqlite>,
    user: &Principal,
    named: [Option<&Name>; 2],
) -> Result<Option<String>, Problem> {
    if let Some(own) = &user.tenant {
        return Ok(Some(own.clone()));
    }
    let [Some(one), Some(other)] = named else {
        return Ok(None);
    };
    if one != other {
        return Ok(None);
    }
    let row = sqlx::query("SELECT id FROM tenants WHERE name = $1")
        .bind(one.as_str())
        .fetch_optional(&mut **db)
        .await
        .map_err(Error::from)?;
    Ok(row.map(|row| row.get("id")))
}

/// What is wrong with a wish is told as such.
pub(super) fn told(error: Error) -> Problem {
    match error.kind() {
        Fault::Malformed => Problem::INVALID.about(format!("{}.", error.reason())),
        Fault::Ceiling => Problem::TOO_MANY_OPEN.with(RETRY_AFTER, 60),
        Fault::Taken => Problem::ENDED,
        _ => error.into(),
    }
}
